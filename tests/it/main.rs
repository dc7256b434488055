//! Integration tests of the whole proxy: real router, real store, a fake backend on loopback.
//! What takes a PostgreSQL is in `it_postgres`.

mod admission;
mod adversary;
mod affinity;
mod backend_tls;
mod browsers;
mod connections;
mod counting;
mod deleting;
mod drain;
mod early_answers;
mod endings;
mod guessing;
pub(crate) mod harness;
mod info;
mod keep_alive;
mod keys;
mod leaving;
mod metering;
mod metrics;
mod order;
mod paths;
mod policy;
mod rate;
mod redirects;
mod refusals;
mod request_headers;
mod request_id;
mod response_headers;
mod rmcp_client;
mod session_replicas;
mod sessions;
mod shared_code;
mod sockets;
pub(crate) mod stored;
mod streaming;
pub(crate) mod tls;
