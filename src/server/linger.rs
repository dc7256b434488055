//! Bounds for reading and dropping what clients still send after they were answered.
//! Closing the connection earlier would destroy the answer on its way (RFC 9112 §9.6).
//! For HTTP/1 `head_guard` reads it from the socket, after it has shut the proxy's own end.
//! For HTTP/2 it is read here from the stream, which is reset after that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::Body as _;
use hyper::body::Incoming;
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::time::Sleep;

use super::hyper_body::Leftover;
use crate::net::source_network;

/// Maximum number of bytes that are dropped of one request.
const MOST: usize = 64 * 1024 * 1024;

/// How long a client is listened to after its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections that linger at once, from one source network and in all.
const PER_NETWORK: u32 = 32;
const IN_ALL: u32 = 512;

/// Counts the connections that linger, and limits how many do.
pub struct LingerLimits {
    counts: Mutex<Counts>,
    /// Many clients come through one of these, so they are no source themselves.
    trusted_proxies: Vec<IpNet>,
}

#[derive(Default)]
struct Counts {
    all: u32,
    by_network: HashMap<IpAddr, u32, foldhash::fast::RandomState>,
}

/// One connection among those that linger, until it is dropped.
pub struct Place {
    linger_limits: Arc<LingerLimits>,
    network: Option<IpAddr>,
}

impl LingerLimits {
    pub fn new(trusted_proxies: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), trusted_proxies })
    }

    /// `None`: too many linger already, so the connection is to be closed at once.
    fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let is_trusted = self.trusted_proxies.iter().any(|net| net.contains(&peer));
        let network = (!is_trusted).then(|| source_network(peer));
        let mut counts = self.counts.lock();
        let here = network.and_then(|network| counts.by_network.get(&network)).copied();
        if counts.all >= IN_ALL || here.is_some_and(|here| here >= PER_NETWORK) {
            return None;
        }
        counts.all += 1;
        if let Some(network) = network {
            *counts.by_network.entry(network).or_default() += 1;
        }
        Some(Place { linger_limits: self.clone(), network })
    }

    /// The allowance of one connection.
    pub fn allowance(self: &Arc<Self>, peer: IpAddr) -> Allowance {
        Allowance { place: self.place(peer), left: MOST, over: None }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.linger_limits.counts.lock();
        counts.all -= 1;
        let Some(network) = self.network else { return };
        if let Some(here) = counts.by_network.get_mut(&network) {
            *here -= 1;
            if *here == 0 {
                counts.by_network.remove(&network);
            }
        }
    }
}

/// How much a client may still send, and for how long.
pub struct Allowance {
    place: Option<Place>,
    left: usize,
    over: Option<Pin<Box<Sleep>>>,
}

impl Allowance {
    /// Whether anything is to be read at all.
    pub(super) fn is_granted(&self) -> bool {
        self.place.is_some()
    }

    /// Takes `bytes` off. Returns whether there may be more.
    pub fn takes(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes);
        self.left > 0
    }

    /// Ready when its time has passed, which begins with the first poll.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        over.as_mut().poll(cx)
    }
}

/// The unread bodies of one HTTP/2 connection.
pub struct Streams {
    linger_limits: Arc<LingerLimits>,
    peer: IpAddr,
    /// Shared by the streams, since they are one connection.
    place: Mutex<Weak<Place>>,
}

impl Streams {
    pub fn new(linger_limits: Arc<LingerLimits>, peer: IpAddr) -> Arc<Self> {
        Arc::new(Self { linger_limits, peer, place: Mutex::default() })
    }

    fn place(&self) -> Option<Arc<Place>> {
        let mut held = self.place.lock();
        if let Some(place) = held.upgrade() {
            return Some(place);
        }
        let place = Arc::new(self.linger_limits.place(self.peer)?);
        *held = Arc::downgrade(&place);
        Some(place)
    }
}

impl Leftover for Streams {
    fn leave(&self, rest: Incoming) {
        if let Some(place) = self.place() {
            tokio::spawn(async move {
                // In either case the stream is reset if it is not at its end.
                let _ = tokio::time::timeout(PATIENCE, drop_all(rest)).await;
                drop(place);
            });
        }
    }
}

async fn drop_all(mut rest: Incoming) {
    let mut left = MOST;
    while left > 0
        && let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx)).await
    {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_of_the_places_and_all_have_no_more_than_there_are() {
        let trusted: IpNet = "192.0.2.0/24".parse().unwrap();
        let linger_limits = LingerLimits::new(vec![trusted]);
        let place = |peer: &str| linger_limits.place(peer.parse().unwrap());
        let mut held: Vec<_> = (0..PER_NETWORK).filter_map(|_| place("198.51.100.1")).collect();
        assert_eq!(held.len(), 32);
        assert!(place("198.51.100.1").is_none());
        assert!(place("::ffff:198.51.100.1").is_none(), "the same address");
        held.pop();
        held.extend(place("198.51.100.1"));
        held.extend((0..IN_ALL).filter_map(|_| place("192.0.2.1")));
        assert_eq!(held.len(), 512);
        assert!(place("203.0.113.1").is_none());
        drop(held);
        assert!(place("203.0.113.1").is_some());
        assert!(linger_limits.counts.lock().by_network.is_empty());
    }

    #[test]
    fn what_is_dropped_has_an_end() {
        let mut allowance = LingerLimits::new(Vec::new()).allowance("192.0.2.1".parse().unwrap());
        assert!(allowance.takes(MOST - 1));
        assert!(!allowance.takes(1));
    }
}
