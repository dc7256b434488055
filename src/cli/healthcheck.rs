//! `ai-proxy healthcheck`: asks a running server for /readyz, for containers
//! that have neither curl nor a shell.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::output::{self, Json};
use crate::net;
use crate::net::client::ClientConnection;

/// Less than the five seconds that containers are usually given for it.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Args, Debug)]
#[command(after_help = "\
Example, in a Dockerfile:
  HEALTHCHECK CMD [\"ai-proxy\", \"healthcheck\"]")]
pub struct Healthcheck {
    /// Where the server listens; of 0.0.0.0 and [::], the loopback address is asked
    #[arg(long, env = "AI_PROXY_LISTEN", default_value = "127.0.0.1:8910", value_name = "ADDR")]
    listen: SocketAddr,

    /// The certificate of the server, where it has one: it is then asked over HTTPS
    #[arg(long, env = "AI_PROXY_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    #[command(flatten)]
    output: Json,
}

impl Healthcheck {
    pub async fn run(self) -> anyhow::Result<()> {
        let address = net::from_here(self.listen);
        let asking = ask(address, self.tls_cert.is_some());
        let status = tokio::time::timeout(PATIENCE, asking)
            .await
            .with_context(|| format!("{address} did not answer within {} s", PATIENCE.as_secs()))?
            .with_context(|| format!("no server answers on {address}"))?;
        if self.output.json {
            output::json(&json!({"ready": status == StatusCode::OK, "status": status.as_u16()}))?;
        }
        match status {
            StatusCode::OK if self.output.json => Ok(()),
            StatusCode::OK => Ok(output::line("ready")?),
            status => {
                bail!("the server on {address} is not ready: /readyz answers {}", status.as_u16())
            }
        }
    }
}

async fn ask(address: SocketAddr, tls: bool) -> anyhow::Result<StatusCode> {
    let stream = TcpStream::connect(address).await?;
    let mut connection = if tls {
        let connector = TlsConnector::from(Arc::new(tls_config()?));
        let stream = connector.connect(ServerName::from(address.ip()), stream).await?;
        ClientConnection::over(stream).await?
    } else {
        ClientConnection::over(stream).await?
    };
    let request = Request::get("/readyz")
        .header(header::HOST, address.to_string())
        .body(Full::new(Bytes::new()))?;
    let answer = connection.send(request).await;
    Ok(answer.map_err(|_| anyhow!("the connection was closed"))?.status())
}

fn tls_config() -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OurOwn { algorithms }))
        .with_no_client_auth())
}

/// Takes any certificate, as the probes of Kubernetes do: the server is our own, it is
/// asked by an address that no certificate names, and nothing secret is sent.
#[derive(Debug)]
struct OurOwn {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OurOwn {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
