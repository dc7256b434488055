//! HTTP/1.1 as bytes, for both legs: where heads end, how long bodies are and what chunks
//! hold (RFC 9112). It knows no sockets and no calls: `server` reads clients with it, and
//! `proxy::backend` reads backends.

pub mod body;
pub mod requests;
pub mod response;
