//! The portal as a visitor with a browser sees it: the real process parts on a
//! port of their own, real cookies, HTML that is parsed.

mod account;
mod api;
mod attendees;
mod audit;
pub(crate) mod backup;
mod bounds;
mod capacity;
pub(crate) mod claim;
pub(crate) mod confirm;
mod entra;
mod entra_refused;
mod events;
mod forget;
mod frame;
mod front_end;
pub(crate) mod gateway;
mod github;
pub(crate) mod harness;
mod held;
mod home;
mod isolation;
mod joining;
pub(crate) mod mcp;
mod metrics;
pub(crate) mod microsoft;
mod oauth;
pub(crate) mod octocat;
mod owners;
mod person;
#[path = "../postgres.rs"]
pub(crate) mod postgres;
mod preflight;
mod reconfirm;
mod reports;
mod resources;
mod room;
mod routes;
mod set_up;
mod sign_in;
mod sign_ins;
mod time;
mod turns;
pub(crate) mod workshop;
