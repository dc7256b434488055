//! The way out, and who is at the other end.
//!
//! Which addresses may be connected to (`policy`), how a connection is made ([`dial`], [`race`]), a
//! small client for whatever is no attendee's call ([`client`]), where a [`redirect`] leads, the
//! cookies of load balancers ([`affinity`]); who the peer of a request is (`peer`), and where this
//! proxy is reached ([`base_url`]). It knows nothing of resources, events and owners: everything
//! above may use it.

pub(crate) mod affinity;
pub mod base_url;
pub(crate) mod client;
pub(crate) mod dial;
mod peer;
mod policy;
pub(crate) mod race;
pub(crate) mod redirect;
mod socket;

pub(crate) use self::peer::{is_trusted, source, source_network, source_site};
pub use self::policy::EndpointPolicy;
pub(crate) use self::socket::{from_here, tune};
