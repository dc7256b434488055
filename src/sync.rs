//! The atomics and the lock of the types that calls share: those of the standard library and
//! of parking_lot. With the feature `interleavings` they are loom's, so that
//! `tests/interleavings` can try every order in which threads may use these types, with every
//! value that a relaxed memory may show them. A build with that feature is for those tests
//! alone: outside a model, loom's types panic.

#[cfg(feature = "interleavings")]
pub(crate) use self::model::Mutex;
#[cfg(feature = "interleavings")]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
#[cfg(not(feature = "interleavings"))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(feature = "interleavings"))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

#[cfg(feature = "interleavings")]
mod model;
