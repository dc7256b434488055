//! The way out, and who is at the other end: which addresses may be connected to (`policy`), how a
//! connection is made ([`dial`], [`race`]), a small [`client`], where a [`redirect`] leads, the cookies of a load balancer ([`affinity`]), and where a request
//! comes from (`peer`).
//!
//! It knows nothing of resources, events and owners: everything above may use it.

pub mod affinity;
pub mod client;
pub mod dial;
mod peer;
mod policy;
pub mod race;
pub mod redirect;
mod socket;

pub use self::peer::{source, source_network, source_site};
pub use self::policy::{EndpointPolicy, is_allowed};
pub use self::socket::{from_here, tune};
