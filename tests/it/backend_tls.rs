//! Backends behind TLS: proven by their certificate, or not called.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::CALL;
use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::wire::Wire;

/// A TLS front for `backend`, and the file of its certificate.
async fn front(backend: SocketAddr, host: &str, files: &Path) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    std::fs::write(files.join("cert.pem"), made.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))
        .unwrap();
    // HTTP/2 first, which the proxy must not take.
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                assert_eq!(near.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                let Ok(mut far) = TcpStream::connect(backend).await else { return };
                // Either side may hang up.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_trusts_gets_no_key() {
    let backend = Backend::start().await;
    let files = TempDir::new().unwrap();
    let front = front(backend.addr, "localhost", files.path()).await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &format!("https://localhost:{}/mcp", front.port())).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    let answer = ada.call().await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "backend_unreachable"));
    assert_eq!(backend.requests(), []);
    assert_eq!(ada.used().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_trusted_must_be_for_the_name_that_was_registered() {
    let backend = Backend::start().await;
    let files = TempDir::new().unwrap();
    let front = front(backend.addr, "localhost", files.path()).await;
    let proxy = Proxy::new().await;
    proxy.resource("demo", &format!("https://localhost:{}/mcp", front.port())).await;
    proxy.resource("other", &format!("https://127.0.0.1:{}/mcp", front.port())).await;
    let ada = proxy.event().open().await.attendee().await;
    // What the operating system trusts is asked for once, by a process.
    let settings = [
        ("AI_PROXY_DATA_DIR", proxy.store.dir().to_string_lossy().into_owned()),
        ("AI_PROXY_WORKERS", "1".to_owned()),
        ("SSL_CERT_FILE", files.path().join("cert.pem").to_string_lossy().into_owned()),
    ];
    let process = Process::serve(&settings).await;
    let status = async |target: &str| {
        let mut wire = Wire::connect(process.addr).await;
        wire.exchange(ada.post(CALL).to(target).bytes()).await.expect("an answer").status
    };
    assert_eq!(status(DEMO).await, 200, "{}", process.output());
    let host = format!("localhost:{}", front.port());
    assert_eq!(backend.request().header("host"), Some(host.as_str()));
    assert_eq!(status("/api/v1/mcp/other").await, 503);
    assert_eq!(backend.requests().len(), 1);
    // The session tickets that TLS sends do not cost the connection.
    for _ in 0..3 {
        assert_eq!(status(DEMO).await, 200);
    }
    assert!(backend.requests().iter().all(|request| request.connection == 0));
}
