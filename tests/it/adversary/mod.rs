//! The proxy among people and servers that mean ill: what they may do to
//! themselves, they may; what they must not reach is proven untouched, at the
//! backend, on the wire and in the logs.

mod counting;
mod framing;
mod hostile_backend;
mod paths;
mod secrets;
mod slow;
