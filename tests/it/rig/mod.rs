//! What the tests of the proxy under attack, at its limits and in pieces use:
//! the real binary as a process, a PostgreSQL of one's own, a cable that can be
//! cut, a storm of calls, and a backend that answers with raw bytes.

pub mod hostile;
pub mod postgres;
pub mod process;
pub mod relay;
pub mod room;
pub mod storm;
