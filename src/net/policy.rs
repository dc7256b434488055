//! Which addresses may be connected to.
//!
//! An address is judged after its name was looked up, so no name gets past the policy. An IPv6
//! address that a gateway translates to an IPv4 one is judged by the IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::ValueEnum;
use smallvec::{SmallVec, smallvec};

/// Which backend addresses may be connected to. Link-local and cloud-metadata
/// addresses are refused under either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EndpointPolicy {
    /// Private and loopback addresses are allowed: a workshop on a LAN.
    Any,
    /// Only public addresses: organisers who do not trust each other's networks.
    Public,
}

/// Whether the policy lets us connect to this address. Link-local addresses,
/// where clouds serve their metadata, are refused under any policy.
pub(super) fn is_allowed(address: IpAddr, policy: EndpointPolicy) -> bool {
    let address = address.to_canonical();
    let allowed =
        |address| !is_metadata(address) && (policy == EndpointPolicy::Any || is_public(address));
    match address {
        IpAddr::V6(v6) if !is_metadata(address) => match &embedded_v4(v6)[..] {
            [] => allowed(address),
            // A gateway takes packets for it to the IPv4 addresses inside: these are judged.
            inside => inside.iter().all(|v4| allowed(IpAddr::V4(*v4))),
        },
        _ => allowed(address),
    }
}

/// The IPv4 addresses that an IPv6 one is translated to or tunnelled to on its way. None: it
/// is an address of IPv6 alone.
fn embedded_v4(address: Ipv6Addr) -> SmallVec<[Ipv4Addr; 4]> {
    let octets = address.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| octets[place]));
    let last = at([12, 13, 14, 15]);
    match address.segments() {
        // NAT64 (RFC 6052), IPv4-compatible (RFC 4291 §2.5.5.1), IPv4-translated (RFC 2765 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0 | 0xffff, 0, ..] => smallvec![last],
        // 6to4 (RFC 3056 §2).
        [0x2002, ..] => smallvec![at([2, 3, 4, 5])],
        // Teredo (RFC 4380 §4): the server, and the client with all bits inverted.
        [0x2001, 0, ..] => smallvec![at([4, 5, 6, 7]), Ipv4Addr::from_bits(!last.to_bits())],
        // NAT64 of one's own (RFC 8215). The address says nothing of its prefix's length, so each of RFC
        // 6052 §2.2 counts that leaves the bits behind the IPv4 address zero, as it demands.
        [0x64, 0xff9b, 1, ..] => {
            let places = [[12, 13, 14, 15], [9, 10, 11, 12], [7, 9, 10, 11], [6, 7, 9, 10]];
            let fits =
                |places: &[usize; 4]| octets[places[3] + 1..].iter().all(|octet| *octet == 0);
            let found = places.into_iter().filter(fits).map(at);
            let found: SmallVec<_> = found.filter(|v4| !v4.is_unspecified()).collect();
            if found.is_empty() { smallvec![last] } else { found }
        }
        _ => SmallVec::new(),
    }
}

/// Link-local ranges, and the metadata addresses that lie outside of them (Azure's wire server,
/// Alibaba's, Oracle's; AWS's and Google's over IPv6).
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4.octets()[..3] == [192, 0, 0]
                || v4 == Ipv4Addr::new(168, 63, 129, 16)
                || v4 == Ipv4Addr::new(100, 100, 100, 200)
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            v6.is_unicast_link_local()
                || matches!((first, second), (0xfd00, 0xec2) | (0xfd20, 0xce))
        }
    }
}

/// Routable on the internet (the special ranges of RFC 6890 are not).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            // Two ranges of documentation (RFC 3849, RFC 9637) and one of benchmarks (RFC 5180).
            let is_special = matches!(segments, [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..])
                || segments[..3] == [0x2001, 2, 0];
            segments[0] & 0xe000 == 0x2000 && !is_special
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, policy: EndpointPolicy) -> bool {
        is_allowed(address.parse().unwrap(), policy)
    }

    #[test]
    fn metadata_addresses_are_refused_under_any_policy() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:2a9:fe:a9fe::",
            "64:ff9b:1:203:a9:fea9:fe00:0",
            "2002:a9fe:a9fe::1",
            "2001:0:5db8:d822:0:0:5601:5601",
            "2001:0:a9fe:a9fe::",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd00:ec2:ffff::1",
            "fd20:ce::254",
            "fd20:ce:1::",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.0.1",
        ] {
            assert!(!allowed(address, EndpointPolicy::Any), "{address}");
        }
        for address in
            ["127.0.0.1", "192.168.1.2", "192.0.1.1", "::1", "fd00:ec3::1", "64:ff9b:1::a00:1"]
        {
            assert!(allowed(address, EndpointPolicy::Any), "{address}");
        }
    }

    #[test]
    fn the_public_policy_refuses_private_networks() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.2",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fd12::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            // Teredo: a private client, and a private server.
            "2001:0:5db8:d822:0:0:f5ff:fffe",
            "2001:0:a00:1:0:0:a247:27dd",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "64:ff9b:1:a00:0:100::",
            "64:ff9b:1::",
            "2001:db8::1",
            "3fff:fff::1",
            "2001:2::1",
        ] {
            assert!(!allowed(address, EndpointPolicy::Public), "{address}");
        }
        for address in [
            "93.184.216.34",
            "2606:2800:220:1::1",
            "::ffff:93.184.216.34",
            "::93.184.216.34",
            "2002:5db8:d822::1",
            "2001:0:5db8:d822:0:0:a247:27dd",
            "64:ff9b::5db8:d822",
            "64:ff9b:1::5db8:d822",
            "64:ff9b:1:5db8:d8:2200::",
        ] {
            assert!(allowed(address, EndpointPolicy::Public), "{address}");
        }
    }
}
