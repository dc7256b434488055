//! Tests of the store: each runs on SQLite and on PostgreSQL, on a database of
//! its own.

mod api_token;
mod attendee;
mod backup;
mod change;
mod claim_code;
mod entra_account;
mod event;
mod event_control;
mod harness;
mod master_key;
mod mcp_session;
mod open;
mod outage;
mod owner;
mod purge;
mod quota;
mod rekey;
mod resource;
mod seal;
mod snapshot;
mod unreadable;
mod usage;
mod usage_event;
