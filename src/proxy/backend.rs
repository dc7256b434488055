//! Connections to backends: made, kept for the next call, and dropped before the
//! backend would drop them.
//!
//! HTTP/1.1 only: it is what MCP servers speak, and one stream per connection means
//! that a client that leaves takes exactly its own backend request with it. The
//! protocol is spoken here and not by a task beside the call (hyper's client): a
//! silent stream then costs no buffers, and no chunk changes hands on its way.

mod dial;
mod exchange;
mod pool;
mod stream;
#[cfg(test)]
mod tests;
mod upload;

pub use self::dial::Dialer;
pub use self::exchange::{Incoming, SendError};
pub use self::pool::{Connection, Pool};
pub use self::stream::{IdleActivity, Stream};
pub use self::upload::Head;
