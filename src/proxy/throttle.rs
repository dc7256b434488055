//! Guessing keys is slowed down by source address; knowing one is not.
//!
//! Thirty unknown keys or wrong codes a minute from one address, and further
//! unknown ones are refused. A known key never meets this: a whole room shares
//! one address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use dashmap::DashMap;
use http::HeaderMap;
use ipnet::IpNet;

use crate::net::source_network as network;

const ATTEMPTS_A_MINUTE: u32 = 30;

/// Sources kept at most; when more guess in one minute, the new ones are
/// counted together.
const SOURCES: usize = 65_536;

#[derive(Default)]
pub struct SourceThrottle {
    /// The minute, and the wrong attempts in it.
    attempts: DashMap<IpAddr, (i64, u32)>,
}

impl SourceThrottle {
    /// Counts a wrong attempt; the seconds to wait where there were too many.
    pub fn wrong(&self, source: IpAddr, now_ms: i64) -> Result<(), u64> {
        let minute = now_ms.div_euclid(60_000);
        let mut source = network(source);
        if self.attempts.len() >= SOURCES && !self.attempts.contains_key(&source) {
            source = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
        let mut entry = self.attempts.entry(source).or_insert((minute, 0));
        if entry.0 != minute {
            *entry = (minute, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        if entry.1 <= ATTEMPTS_A_MINUTE {
            return Ok(());
        }
        let ends = (minute + 1) * 60_000;
        Err(u64::try_from((ends - now_ms) / 1000).unwrap_or(0).max(1))
    }

    /// Forgets the minutes that have passed.
    pub fn sweep(&self, now_ms: i64) {
        let minute = now_ms.div_euclid(60_000);
        self.attempts.retain(|_, entry| entry.0 == minute);
    }
}

/// Where a request comes from: the socket's peer, or, where that is a trusted
/// proxy, the last address of `X-Forwarded-For` that is not one.
pub fn source(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| {
        let address = address.to_canonical();
        trusted.iter().any(|network| network.contains(&address))
    };
    if !is_trusted(peer) {
        return peer;
    }
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    // From the right: what is left of a hop that we do not trust, or cannot
    // read, was written by the client.
    hops.iter()
        .rev()
        .map_while(|hop| hop_address(hop.trim()))
        .find(|hop| !is_trusted(*hop))
        .unwrap_or(peer)
}

/// The address of a hop, which some proxies write with the port that it came from, and an IPv6 one in
/// brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || hop.parse().ok().map(|socket: SocketAddr| socket.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_31st_wrong_attempt_of_a_minute_waits_for_the_next() {
        let throttle = SourceThrottle::default();
        let source = "192.0.2.1".parse().unwrap();
        for _ in 0..30 {
            assert_eq!(throttle.wrong(source, 60_000), Ok(()));
        }
        assert_eq!(throttle.wrong(source, 80_000), Err(40));
        assert_eq!(throttle.wrong("192.0.2.2".parse().unwrap(), 80_000), Ok(()));
        assert_eq!(throttle.wrong(source, 120_000), Ok(()));
    }

    #[test]
    fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "198.51.100.7, 203.0.113.9, 10.0.0.2".parse().unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let client: IpAddr = "203.0.113.9".parse().unwrap();
        assert_eq!(source("10.0.0.1".parse().unwrap(), &headers, &trusted), client);
        let stranger: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(source(stranger, &headers, &trusted), stranger);
    }

    #[test]
    fn a_hop_is_an_address_with_or_without_its_port_and_brackets() {
        let (peer, trusted) = ("10.0.0.1".parse().unwrap(), ["10.0.0.0/8".parse().unwrap()]);
        for (hops, client) in [
            ("203.0.113.9:50123", "203.0.113.9"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:50123", "2001:db8::7"),
            ("198.51.100.7, 203.0.113.9:50123,10.0.0.2:443 , 10.0.0.3", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:1, [::ffff:10.0.0.2]:443", "::ffff:203.0.113.9"),
            // A hop that is no address was not written by a proxy: nothing to its left is believed.
            ("203.0.113.9, unknown", "10.0.0.1"),
            ("203.0.113.9, [203.0.113.9]", "10.0.0.1"),
            ("203.0.113.9, 203.0.113.9:", "10.0.0.1"),
            ("203.0.113.9, [2001:db8::7]:x", "10.0.0.1"),
            ("203.0.113.9, [2001:db8::7", "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", hops.parse().unwrap());
            assert_eq!(
                source(peer, &headers, &trusted),
                client.parse::<IpAddr>().unwrap(),
                "{hops}"
            );
        }
    }
}
