//! The data plane: what happens to a call, one file per stage, in the order in
//! which a call meets them.
//!
//! `entry` is the way in, `call` the skeleton: `authenticate` (key → caller) → `resolve`
//! (path → target) → read and hold (by the protocol) → `admit` (caller → permit) → `forward`
//! (to the backend and back) → `relay` (to the client) → `meter` (one record). `plane` is what
//! all calls share, `attendee` what is kept of one person. `error` is the only map from a
//! refusal to a response; `mcp` holds what is special to MCP.

mod access_token;
mod admit;
pub mod attendee;
pub mod authenticate;
pub mod backend;
pub mod call;
pub mod caller;
mod challenge;
pub mod client_body;
mod control;
mod dropped;
pub mod endpoint_path;
mod entry;
pub mod error;
mod forward;
mod guessing;
pub mod headers;
mod info;
pub mod keep_alive;
pub mod mcp;
mod meter;
mod origin;
mod own_usage;
pub mod plane;
mod rate_headers;
mod relay;
pub mod request_body;
mod resolve;
pub mod response_body;
pub mod route;
pub mod shared_key;
pub mod synthetic;
pub mod tally;
pub mod throttle;
pub mod upkeep;
pub mod worker;

pub use self::authenticate::API_KEY;
pub use self::entry::{serve, serve_inside};
pub use self::route::logged;
pub use self::worker::REQUEST_ID;
