//! Both legs notice a peer that is gone: a laptop that left the Wi-Fi must
//! free its stream.

#![cfg(target_os = "linux")]

use std::net::SocketAddr;

use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;

/// Seconds until the kernel asks whether the peer of `local`'s connection to
/// `remote` is still there (`proc_pid_net(5)`: the timer, 2 being keep-alive).
fn keep_alive(local: SocketAddr, remote: SocketAddr) -> Option<f64> {
    let hex = |addr: SocketAddr| match addr {
        SocketAddr::V4(v4) => {
            format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port())
        }
        SocketAddr::V6(_) => unreachable!("the tests use IPv4"),
    };
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table of connections");
    let ends = format!("{} {}", hex(local), hex(remote));
    let line = table.lines().find(|line| line.contains(&ends)).expect("the connection");
    let timer = line.split_whitespace().nth(5).expect("its timer");
    let hundredths = i64::from_str_radix(timer.strip_prefix("02:")?, 16).expect("a number");
    Some(hundredths as f64 / 100.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_asked_whether_they_are_still_there() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.get().send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    let client = keep_alive(proxy.addr(), wire.local_addr());
    let backend = keep_alive(visit.peer_addr(), backend.addr);
    for (leg, due) in [("client", client), ("backend", backend)] {
        assert!(due.is_some_and(|seconds| (15.0..=30.0).contains(&seconds)), "{leg}: {due:?}");
    }
}
