//! Addresses and sockets: which backend addresses may be connected to, how a
//! peer that is gone is noticed, and where our own server is found.

pub mod affinity;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::config::EndpointPolicy;

/// Whether the policy lets us connect to this address. Link-local addresses,
/// where clouds serve their metadata, are refused under any policy.
pub fn is_allowed(address: IpAddr, policy: EndpointPolicy) -> bool {
    let address = embedded_v4(address.to_canonical());
    !is_metadata(address) && (policy == EndpointPolicy::Any || is_public(address))
}

/// The IPv4 address inside a NAT64 one (RFC 6052), so that it is judged as such.
fn embedded_v4(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let bits = v6.to_bits() as u32;
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        }
        other => other,
    }
}

/// Link-local ranges, and the metadata addresses that lie outside of them
/// (Azure's wire server, Alibaba's, AWS's over IPv6).
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4 == Ipv4Addr::new(168, 63, 129, 16)
                || v4 == Ipv4Addr::new(100, 100, 100, 200)
        }
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

/// Routable on the internet (the special ranges of RFC 6890 are not).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a, b, c) == (192, 0, 0))
        }
        IpAddr::V6(v6) => {
            v6.segments()[0] & 0xe000 == 0x2000 && !is_documentation_v6(v6.segments())
        }
    }
}

fn is_documentation_v6(segments: [u16; 8]) -> bool {
    segments[0] == 0x2001 && segments[1] == 0xdb8
}

/// Sends small writes at once, and notices within about a minute that the peer
/// is gone: a laptop that left the Wi-Fi must free its stream.
pub fn tune(stream: &TcpStream) {
    let keep_alive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    let socket = SockRef::from(stream);
    let tuned = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keep_alive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(Duration::from_secs(60))));
    if let Err(error) = tuned {
        tracing::debug!(reason = %error, "a socket could not be tuned");
    }
}

/// Where a client on this machine finds what listens on `address`.
pub fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What an address counts as where guesses are counted: an IPv6 host owns a
/// /64, so the addresses of one are one source.
pub fn source_network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
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
    }

    #[test]
    fn what_listens_on_every_address_is_found_on_loopback() {
        for (listens, found) in [
            ("127.0.0.1:8910", "127.0.0.1:8910"),
            ("0.0.0.0:8910", "127.0.0.1:8910"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.5:80", "10.0.0.5:80"),
        ] {
            assert_eq!(from_here(listens.parse().unwrap()), found.parse().unwrap());
        }
    }

    fn allowed(address: &str, policy: EndpointPolicy) -> bool {
        is_allowed(address.parse().unwrap(), policy)
    }

    #[test]
    fn metadata_addresses_are_refused_under_any_policy() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "168.63.129.16",
        ] {
            assert!(!allowed(address, EndpointPolicy::Any), "{address}");
        }
        assert!(allowed("127.0.0.1", EndpointPolicy::Any));
        assert!(allowed("192.168.1.2", EndpointPolicy::Any));
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
        ] {
            assert!(!allowed(address, EndpointPolicy::Public), "{address}");
        }
        for address in ["93.184.216.34", "2606:2800:220:1::1"] {
            assert!(allowed(address, EndpointPolicy::Public), "{address}");
        }
    }
}
