//! The suite `store` on PostgreSQL, and a test of what only PostgreSQL has.

mod on_postgres;
#[path = "main.rs"]
mod store;

use store::{harness, postgres};
