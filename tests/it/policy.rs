//! `--endpoint-policy`: which addresses are connected to, judged by what a
//! name resolves to and for every connection.

use ai_proxy::config::EndpointPolicy;

use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn under_public_neither_private_nor_loopback_addresses_are_reached() {
    let backend = Backend::start().await;
    let port = backend.addr.port();
    let hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"];
    let mut proxy = Proxy::new().await;
    for (number, host) in hosts.iter().enumerate() {
        proxy.resource(&format!("r{number}"), &format!("http://{host}:{port}/mcp")).await;
    }
    let ada = proxy.event().open().await.attendee().await;
    proxy.start_with(|config| config.endpoint_policy = EndpointPolicy::Public).await;
    for (number, host) in hosts.iter().enumerate() {
        let answer = ada.post(crate::harness::CALL).to(&format!("/api/v1/mcp/r{number}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "backend_unreachable"), "{host}");
    }
    assert_eq!(backend.requests(), []);
    assert_eq!(ada.used().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_addresses_are_never_reached() {
    let mut proxy = Proxy::new().await;
    let hosts = [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[fd00:ec2::23]",
        "[fd20:ce::254]",
        "168.63.129.16",
        "192.0.0.192",
        "[2002:a9fe:a9fe::1]",
        "[64:ff9b::a9fe:a9fe]",
        "2852039166",
        "0xa9fea9fe",
    ];
    for (number, host) in hosts.iter().enumerate() {
        proxy.resource(&format!("r{number}"), &format!("http://{host}/latest")).await;
    }
    let ada = proxy.event().open().await.attendee().await;
    // An attempt to connect would last until this.
    proxy.start_with(|config| config.connect_timeout = "15".parse().unwrap()).await;
    let began = std::time::Instant::now();
    for (number, host) in hosts.iter().enumerate() {
        let answer = ada.post(crate::harness::CALL).to(&format!("/api/v1/mcp/r{number}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "backend_unreachable"), "{host}");
    }
    assert!(began.elapsed().as_secs() < 5, "it was tried");
}
