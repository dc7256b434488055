//! The source of a request: its address, behind the proxies that are trusted, and the network or
//! site that this address counts as.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Where a request comes from: the socket's peer, or, where that is a trusted
/// proxy, the last address of `X-Forwarded-For` that is not one.
pub(crate) fn source(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if !is_trusted(peer, trusted) {
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
        .find(|hop| !is_trusted(*hop, trusted))
        .unwrap_or(peer)
}

/// Whether the forwarding headers of this peer are believed.
pub(crate) fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|network| network.contains(&peer))
}

/// The address of a hop, which some proxies write with the port that it came from, and an IPv6 one in
/// brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || hop.parse().ok().map(|socket: SocketAddr| socket.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

/// What an address counts as where guesses are counted: an IPv6 host owns a
/// /64, so the addresses of one are one source.
pub(crate) fn source_network(source: IpAddr) -> IpAddr {
    network_of(source, 64)
}

/// What an address counts as where guessing must be slow: anybody can have an IPv6 /48,
/// with 65,536 networks, so a whole site is one source, as it is behind one IPv4 address.
pub(crate) fn source_site(source: IpAddr) -> IpAddr {
    network_of(source, 48)
}

fn network_of(source: IpAddr, ipv6_bits: u32) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - ipv6_bits))))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_source() {
        let network = |address: &str| source_network(address.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        let site = |address: &str| source_site(address.parse().unwrap());
        assert_eq!(site("2001:db8::1"), site("2001:db8:0:1::1"));
        assert_ne!(site("2001:db8::1"), site("2001:db8:1::1"));
        assert_eq!(site("::ffff:192.0.2.1"), site("192.0.2.1"));
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
