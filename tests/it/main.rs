//! Integration tests of the whole proxy: real router, real store, a fake backend on loopback.
