//! The suite `it`, and with it the tests of the proxy on PostgreSQL: several processes
//! on one database, and a database that goes away.

#[path = "main.rs"]
mod it;
mod on_postgres;
#[path = "../postgres.rs"]
mod postgres;

use it::{harness, stored, tls};
