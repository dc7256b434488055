//! HTTPS, with HTTP/1.1 and HTTP/2.

use std::sync::Arc;

use ai_proxy::config::Config;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::{Backend, Visits};
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::wire::Wire;
use crate::harness::{CALL, CHANGE};

/// A certificate that nobody signed, and who trusts it.
pub struct Certificate {
    files: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TempDir::new().unwrap();
        std::fs::write(files.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(files.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { files, der: made.cert.der().clone() }
    }

    pub fn set(&self, config: &mut Config) {
        config.tls_cert = Some(self.files.path().join("cert.pem"));
        config.tls_key = Some(self.files.path().join("key.pem"));
    }

    pub async fn connect(&self, proxy: &Proxy, protocol: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(proxy.addr()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        stream
    }

    async fn h2(&self, proxy: &Proxy) -> http2::SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(self.connect(proxy, "h2").await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

async fn by_hand() -> (Certificate, Backend, Visits, Proxy, Attendee) {
    let certificate = Certificate::new();
    let (backend, visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving_with(&backend, |config| certificate.set(config)).await;
    (certificate, backend, visits, proxy, ada)
}

fn post(ada: &Attendee, body: &'static str) -> Request<Full<Bytes>> {
    Request::post(format!("https://localhost{DEMO}"))
        .header("api-key", &ada.key)
        .header("content-type", "application/json")
        .header("te", "trailers")
        .header("cookie", "a=b")
        .body(Full::from(body))
        .unwrap()
}

/// The next data of a stream; HTTP/2 may end it with an empty frame.
async fn data(response: &mut Response<Incoming>) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match response.frame().await?.map(|frame| frame.into_data().expect("data")) {
            Ok(data) if data.is_empty() => {}
            next => return Some(next),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_over_tls() {
    let (certificate, _backend, mut visits, proxy, ada) = by_hand().await;
    let mut wire = Wire::over(certificate.connect(&proxy, "http/1.1").await);
    wire.send(ada.post(CALL).bytes()).await.unwrap();
    let mut visit = visits.next().await;
    visit.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);

    wire.send(ada.get().bytes()).await.unwrap();
    visit.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    visit.chunk("data: 1\n\n").await;
    wire.hears("data: 1\n\n").await;
    visit.reset();
    wire.is_cut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_carries_calls_and_streams_on_one_connection() {
    let (certificate, _backend, mut visits, proxy, ada) = by_hand().await;
    let mut sender = certificate.h2(&proxy).await;
    let streaming = tokio::spawn(sender.send_request(post(&ada, CALL)));
    let (mut visit, request) = visits.request().await;
    visit.begin_events().await;
    let mut stream = streaming.await.unwrap().unwrap();
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(request.header("host"), Some(_backend.addr.to_string().as_str()));
    for absent in ["te", "cookie", ":authority", "transfer-encoding"] {
        assert_eq!(request.header(absent), None, "{absent}");
    }

    let calling = tokio::spawn(sender.send_request(post(&ada, CALL)));
    visits.next().await.serve().await;
    let answer = calling.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("x-ratelimit-limit-requests"));

    for event in ["data: 1\n\n", "data: \u{20ac}\n\n"] {
        visit.chunk(event).await;
        assert_eq!(data(&mut stream).await.unwrap().unwrap(), event);
    }
    visit.chunk("").await;
    let end = data(&mut stream).await;
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_stream_that_is_given_up_aborts_just_its_own_call() {
    let (certificate, _backend, mut visits, proxy, ada) = by_hand().await;
    let mut sender = certificate.h2(&proxy).await;
    let first = tokio::spawn(sender.send_request(post(&ada, CALL)));
    let (mut one, _) = visits.request().await;
    one.begin_events().await;
    let first = first.await.unwrap().unwrap();
    let second = tokio::spawn(sender.send_request(post(&ada, CALL)));
    let (mut other, _) = visits.request().await;
    other.begin_events().await;
    let mut second = second.await.unwrap().unwrap();

    drop(first);
    one.left().await;
    other.chunk("data: still here\n\n").await;
    assert_eq!(data(&mut second).await.unwrap().unwrap(), "data: still here\n\n");

    let unanswered = tokio::spawn(sender.send_request(post(&ada, CALL)));
    let (mut visit, _) = visits.request().await;
    unanswered.abort();
    visit.left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_resets_its_http_2_stream() {
    let (certificate, _backend, mut visits, proxy, ada) = by_hand().await;
    let mut sender = certificate.h2(&proxy).await;
    let streaming = tokio::spawn(sender.send_request(post(&ada, CALL)));
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    visit.chunk("data: 1\n\n").await;
    let mut stream = streaming.await.unwrap().unwrap();
    assert_eq!(data(&mut stream).await.unwrap().unwrap(), "data: 1\n\n");
    visit.reset();
    assert!(data(&mut stream).await.unwrap().is_err());

    let streaming = tokio::spawn(sender.send_request(post(&ada, CALL)));
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    let mut stream = streaming.await.unwrap().unwrap();
    let began = std::time::Instant::now();
    ada.set_active(false).await;
    assert!(data(&mut stream).await.unwrap().is_err(), "an attendee who is switched off");
    assert!(began.elapsed() < CHANGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_requests_are_judged_as_any_other() {
    let certificate = Certificate::new();
    let backend = Backend::answering(|_| Reply::json("{}").header("connection", "x-hop")).await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    let ada = event.attendee().await;
    proxy.start_with(|config| certificate.set(config)).await;
    let mut sender = certificate.h2(&proxy).await;
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.uri(format!("https://192.0.2.7:8443{path}")).body(Full::default()).unwrap()
    };
    let key = ("api-key", ada.key.as_str());
    for (request, status) in [
        (ask("GET", DEMO, &[]), 401),
        (ask("GET", DEMO, &[key]), 200),
        (ask("GET", DEMO, &[key, ("origin", "https://evil.example")]), 403),
        // The address that the browser really connected to.
        (ask("GET", DEMO, &[key, ("origin", "https://192.0.2.7:8443")]), 200),
        (ask("GET", DEMO, &[key, ("origin", "https://192.0.2.8:8443")]), 403),
        (ask("PUT", DEMO, &[key]), 405),
        (ask("GET", "/api/v1/mcp/demo/a/../b", &[key]), 400),
        (ask("GET", "/api/v1/mcp/nobody", &[key]), 404),
        (ask("GET", DEMO, &[key, ("content-length", "0"), ("content-length", "0")]), 400),
    ] {
        let sent = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{sent}");
    }
    let path = format!("/api/v1/event/{}", event.id);
    let answer = sender.send_request(ask("GET", &path, &[])).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let shown: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(shown["proxy_url"], "https://192.0.2.7:8443/api/v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_on_the_tls_port_is_not_served() {
    let (_certificate, backend, _visits, proxy, ada) = by_hand().await;
    let mut wire = proxy.wire().await;
    wire.send(ada.post(CALL).bytes()).await.unwrap();
    assert!(wire.answer().await.is_err());
    assert_eq!(backend.requests(), []);
}
