//! Options that every socket gets, and the address of our own server for a client on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sends small writes at once, and notices within about a minute that the peer
/// is gone: a laptop that left the Wi-Fi must free its stream.
pub(crate) fn tune(stream: &TcpStream) {
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
pub(crate) fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
