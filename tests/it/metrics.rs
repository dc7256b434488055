//! `/metrics`: on a socket of its own, and nothing about attendees.

use crate::harness::backend::{Backend, Nobody};
use crate::harness::proxy::Proxy;
use crate::harness::wire::Wire;
use crate::harness::{CALL, PING, eventually};

/// The value of the one sample with all these words in its line; 0 without one.
fn sample(page: &str, words: &[&str]) -> f64 {
    let lines: Vec<_> = page
        .lines()
        .filter(|line| !line.starts_with('#') && words.iter().all(|word| line.contains(word)))
        .collect();
    assert!(lines.len() <= 1, "{words:?} is ambiguous: {lines:?}");
    lines.first().map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_status_and_resource() {
    // The process has one recorder: names that no other test uses.
    let backend = Backend::start().await;
    let nobody = Nobody::new();
    let mut proxy = Proxy::new().await;
    proxy.resource("metered", &backend.url()).await;
    proxy.resource("metered-gone", &nobody.url()).await;
    let event = proxy.event().open().await;
    let ada = event.attendee().await;
    proxy.start_with(|config| config.metrics_listen = Some("127.0.0.1:0".parse().unwrap())).await;
    let metered = "/api/v1/mcp/metered";
    for request in [
        ada.post(CALL).to(metered),
        ada.post(PING).to(metered),
        ada.get().to(metered),
        ada.post(CALL).to("/api/v1/mcp/metered-gone"),
        ada.post(CALL).to(&format!("{metered}/../x")),
    ] {
        request.await;
    }
    assert_eq!(proxy.ask("GET", "/metrics").await.status, 404, "not where attendees are");

    let addr = proxy.metrics_addr();
    let page = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n");
        Wire::connect(addr).await.exchange(request).await.expect("a page")
    };
    let requests = "ai_proxy_requests_total{";
    eventually("all are counted", async || {
        let page = page("/metrics").await;
        let resource = r#"resource="metered""#;
        let count = |status: &str| {
            let status = format!(r#"status="{status}""#);
            sample(page.text(), &[requests, r#"route="mcp""#, &status, resource])
        };
        let gone = &[requests, r#"status="503""#, r#"resource="metered-gone""#];
        let times = &["ai_proxy_backend_seconds_count{", resource];
        (count("200"), count("405")) == (2.0, 1.0)
            && sample(page.text(), gone) == 1.0
            && sample(page.text(), times) == 3.0
    })
    .await;
    let shown = page("/metrics").await;
    for secret in [&ada.id, &ada.key, &event.id, &backend.addr.port().to_string()] {
        assert!(!shown.text().contains(&format!("\"{secret}")), "{secret}");
    }
    for name in ["ai_proxy_open_requests", "ai_proxy_leased_requests"] {
        assert!(shown.text().contains(name), "{name}");
    }
    assert_eq!(page("/readyz").await.status, 404);
}
