//! Integration tests of the whole proxy: real router, real store, a fake backend on loopback.

mod admission;
mod adversary;
mod replicas;
mod rig;
mod store_outage;
