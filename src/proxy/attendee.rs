//! What this replica keeps in memory of one attendee while they call: `live` holds their
//! part of the daily cap (`lease`, which `refill` keeps filled), their turn under the burst
//! limit (`rate`), and the usage that is not yet in the store (`ledger`).
//!
//! Nothing here knows a protocol, a backend or a response. The truth about an attendee is
//! in the store's rows.

pub mod lease;
pub(super) mod ledger;
pub mod live;
pub(super) mod rate;
pub mod refill;
