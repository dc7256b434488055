//! Listening sockets: one for each worker, on one address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

const BACKLOG: i32 = 4096;

/// As many sockets as there are workers. On Linux the kernel spreads new
/// connections over them (SO_REUSEPORT); elsewhere they are one socket.
///
/// # Errors
/// The address is taken, by another proxy too, or not ours.
pub(super) fn bind(address: SocketAddr, workers: usize) -> anyhow::Result<Vec<TcpListener>> {
    let cannot = || format!("cannot listen on {address}: choose another with --listen");
    // The first is bound without SO_REUSEPORT, so that a second proxy on the
    // port fails here instead of silently taking part of the connections.
    let first = socket(address).with_context(cannot)?;
    first.bind(&address.into()).with_context(cannot)?;
    let bound: SocketAddr = first.local_addr()?.as_socket().context("not an IP socket")?;
    let mut sockets = vec![first];
    if cfg!(target_os = "linux") {
        sockets[0].set_reuse_port(true)?;
        for _ in 1..workers {
            let next = socket(bound)?;
            next.set_reuse_port(true)?;
            next.bind(&bound.into()).with_context(cannot)?;
            sockets.push(next);
        }
    }
    let mut listeners = Vec::with_capacity(workers);
    for socket in sockets {
        socket.listen(BACKLOG).with_context(cannot)?;
        listeners.push(TcpListener::from(socket));
    }
    while listeners.len() < workers {
        listeners.push(listeners[0].try_clone()?);
    }
    Ok(listeners)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_proxy_on_the_port_is_refused() {
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        assert_eq!(listeners.len(), 3);
        let address = listeners[0].local_addr().unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
        let second = bind(address, 3).unwrap_err().to_string();
        assert!(second.contains("--listen"), "{second}");
    }
}
