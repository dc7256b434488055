//! Owners' pages, one file a noun.

pub mod account;
pub mod home;
pub mod setup;
pub mod sign_in;
