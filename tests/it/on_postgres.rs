//! Tests that need PostgreSQL: replicas that are processes, and a cable to the store that can
//! be cut.

mod database;
mod refill;
mod relay;
mod replicas;
mod store_outage;
mod stored;
