//! Owners' pages, one file a noun.

pub mod account;
pub mod audit;
pub mod backup;
pub mod capacity;
pub mod entra;
pub mod events;
pub mod held;
pub mod home;
pub mod owners;
pub mod reports;
pub mod resources;
pub mod setup;
pub mod sign_in;
pub mod tokens;
