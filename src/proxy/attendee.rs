//! What this replica keeps in memory of one attendee while they are about: `live` holds
//! their part of the daily cap (`lease`, which `refill` keeps filled), their turn under
//! the burst limit (`rate`), and what is yet to be written of their usage (`ledger`).
//!
//! Nothing here knows a protocol, a backend or a response. What is true of an attendee
//! stands in the store's rows.

pub mod lease;
pub mod ledger;
pub mod live;
pub mod rate;
pub mod refill;
