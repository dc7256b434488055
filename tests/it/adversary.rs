//! The proxy among people and servers that mean ill: what they may do to
//! themselves, they may; what they must not reach is proven untouched, at the
//! backend, on the wire and in the logs.

mod counting;
mod desync;
mod framing;
mod hostile_backend;
mod paths;
mod secrets;
mod slow;

/// A good answer to any call, as it is written.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"done\"}";
