//! Connections to other servers, and the addresses of peers and of this proxy.
//!
//! It decides which addresses may be connected to (`policy`) and where a [`redirect`] leads. It
//! connects ([`dial`], [`race`]), has a small [`client`] for everything that is not an attendee's
//! call, and reads the cookies of load balancers ([`affinity`]). It finds out where a request comes
//! from (`peer`) and where this proxy is reached ([`base_url`]). It knows nothing about resources,
//! events and owners, so every other room may use it.

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
