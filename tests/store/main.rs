//! Tests of the store, each on a database of its own: on SQLite in the suite `store`, on
//! PostgreSQL in `store_postgres`.

mod account;
mod api_token;
mod attendee;
mod attendee_session;
mod backup;
mod change;
mod claim_code;
mod entra_account;
mod event;
mod event_control;
mod forget;
pub(crate) mod harness;
mod master_key;
mod mcp_session;
mod oauth;
mod open;
mod outage;
mod owner;
#[path = "../postgres.rs"]
pub(crate) mod postgres;
mod purge;
mod quota;
mod rekey;
mod resource;
mod seal;
mod sign_in;
mod snapshot;
mod unreadable;
mod usage;
mod usage_event;
