//! HTTP/1.1 as bytes, for both legs: where heads end, how long bodies are and what chunks
//! hold (RFC 9112). It knows no sockets and no calls: `server` reads clients with it, and
//! `proxy::backend` reads backends.
//!
//! There is one grammar and, where the legs have to differ, a `Policy` for each. The tests of
//! `policy` list messages with what each leg makes of them.

mod body;
mod chunks;
mod length;
mod policy;
mod requests;
mod response;

pub(crate) use self::body::{BodyDecoder, Step};
pub(crate) use self::length::Malformed;
pub use self::requests::RequestTracker;
pub(crate) use self::response::{ResponseHead, ResponseHeadReader};
