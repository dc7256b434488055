//! The suite `store` on PostgreSQL, and what is so there alone.

mod on_postgres;
#[path = "main.rs"]
mod store;

use store::{harness, postgres};
