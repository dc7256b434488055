//! A small HTTP/1.1 client: one connection, one request and one answer, each within limits.
//!
//! The probe, the sign-in with Entra and `apply --server` use it. It keeps no connection and follows
//! no redirect. The calls of attendees use the pool of the data plane instead.

mod error;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio_rustls::client::TlsStream;
use url::{Position, Url};

pub(crate) use self::error::{ClientError, TLS_HANDSHAKE};
use super::policy::EndpointPolicy;
use super::{dial, race};

/// One HTTP/1.1 connection; closed when dropped.
pub(crate) struct ClientConnection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl ClientConnection {
    /// Connects to the host of `url`. Each of the steps (the look-up, each address, TLS) may take
    /// `limit`.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) async fn open(
        url: &Url,
        policy: EndpointPolicy,
        limit: Duration,
    ) -> Result<Self, ClientError> {
        let authority = authority(url).ok_or(ClientError::BadUrl)?;
        let stream = tcp(url, &authority, policy, limit).await?;
        let handshake = if url.scheme() == "https" {
            let tls = in_time(limit, TLS_HANDSHAKE, tls(url, stream)).await?;
            Self::over(tls.map_err(|reason| ClientError::Tls { authority, reason })?).await
        } else {
            Self::over(stream).await
        };
        handshake.map_err(|error| ClientError::broken(&error))
    }

    /// Speaks HTTP on a stream that is open already.
    ///
    /// # Errors
    /// The stream cannot be used.
    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // An error of the connection reaches whoever waits for the answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }

    /// Sends a request; the body of the answer is read on this connection.
    ///
    /// # Errors
    /// The connection broke before an answer, or that is not HTTP.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<impl Body<Data = Bytes, Error = hyper::Error> + Unpin + Send + use<>>>
    {
        self.sender.send_request(request).await
    }
}

/// The bounds of one exchange.
pub(crate) struct Limits {
    /// For each step of connecting.
    pub connect: Duration,
    /// For the answer, its body included.
    pub answer: Duration,
    /// Of the answer's body, in bytes.
    pub largest: usize,
}

/// Why an exchange gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// There was no connection.
    #[error(transparent)]
    Connect(#[from] ClientError),
    /// It broke before an answer, or that is not HTTP.
    #[error(transparent)]
    Send(hyper::Error),
    #[error("the answer broke off, or is too large")]
    BrokenOff,
    #[error(transparent)]
    Late(#[from] Elapsed),
}

/// Sends one request to the host of `url`, and reads all of the answer.
///
/// # Errors
/// There is no answer within the limits.
pub(crate) async fn exchange(
    url: &Url,
    policy: EndpointPolicy,
    limits: &Limits,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, ExchangeError> {
    let mut connection = ClientConnection::open(url, policy, limits.connect).await?;
    let answer = async {
        let answer = connection.send(request).await.map_err(ExchangeError::Send)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, limits.largest).collect().await;
        let body = body.map_err(|_| ExchangeError::BrokenOff)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    tokio::time::timeout(limits.answer, answer).await?
}

/// A request to the host of `url`, for `path` there (its query included).
///
/// # Errors
/// The path cannot be asked for, or the host cannot be named.
pub(crate) fn request(
    url: &Url,
    path: &str,
    method: Method,
    body: impl Into<Bytes>,
) -> http::Result<Request<Full<Bytes>>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, authority(url).unwrap_or_default())
        .body(Full::new(body.into()))
}

/// What a request for `url` asks its host for.
pub(crate) fn path_and_query(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

/// Host and port as the `Host` header carries them: a default port is left out.
pub(crate) fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Runs a step against its deadline; `what` names it in the error.
///
/// # Errors
/// [`ClientError::TimedOut`].
pub(crate) async fn in_time<T>(
    limit: Duration,
    what: &'static str,
    step: impl Future<Output = T>,
) -> Result<T, ClientError> {
    tokio::time::timeout(limit, step).await.map_err(|_| ClientError::TimedOut { what, limit })
}

async fn tcp(
    url: &Url,
    authority: &str,
    policy: EndpointPolicy,
    limit: Duration,
) -> Result<TcpStream, ClientError> {
    let host = url.host_str().ok_or(ClientError::BadUrl)?;
    let port = url.port_or_known_default().ok_or(ClientError::BadUrl)?;
    let addresses = dial::resolve(host, port, policy, limit).await;
    let addresses = addresses.map_err(|error| ClientError::unresolved(host, error, limit))?;
    let connected = race::first(addresses, limit, dial::tcp).await;
    connected.map_err(|error| ClientError::unconnected(authority, &error, limit))
}

async fn tls(url: &Url, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let connector = dial::tls_connector().map_err(|error| error.to_string())?;
    let name = dial::server_name(url.host_str().unwrap_or_default());
    let name = name.map_err(|error| error.to_string())?;
    connector.connect(name, stream).await.map_err(|error| error::tls_reason(&error))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const LIMITS: Limits =
        Limits { connect: Duration::from_secs(5), answer: Duration::from_millis(200), largest: 2 };

    /// The result of a request to a server that sends this answer and closes, or sends nothing.
    async fn outcome(answer: Option<&'static str>) -> Result<Response<Bytes>, ExchangeError> {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/a?b", server.local_addr().unwrap()).parse().unwrap();
        let head = format!("GET /a?b HTTP/1.1\r\nhost: {}\r\n\r\n", authority(&url).unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut asked = vec![0; head.len()];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(String::from_utf8(asked).unwrap(), head);
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => drop(stream.read(&mut [0]).await),
            }
        });
        let asked = request(&url, path_and_query(&url), Method::GET, "").unwrap();
        let outcome = exchange(&url, EndpointPolicy::Any, &LIMITS, asked).await;
        served.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn an_answer_is_taken_within_its_bounds_and_no_further() {
        let good = outcome(Some("HTTP/1.1 404 \r\ncontent-length: 2\r\n\r\nno")).await.unwrap();
        assert_eq!((good.status(), &good.body()[..]), (StatusCode::NOT_FOUND, &b"no"[..]));
        for too_much in
            ["HTTP/1.1 200 \r\ncontent-length: 3\r\n\r\nyes", "HTTP/1.1 200 \r\n\r\nyes"]
        {
            assert!(matches!(outcome(Some(too_much)).await, Err(ExchangeError::BrokenOff)));
        }
        let cut = "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\ny";
        assert!(matches!(outcome(Some(cut)).await, Err(ExchangeError::BrokenOff)));
        for broken in ["", "HTTP/1.1 20", "SSH-2.0-OpenSSH_9.2\r\n"] {
            assert!(matches!(outcome(Some(broken)).await, Err(ExchangeError::Send(_))), "{broken}");
        }
        assert!(matches!(outcome(None).await, Err(ExchangeError::Late(_))));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_or_not_allowed_is_not_asked() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/", server.local_addr().unwrap()).parse().unwrap();
        let ask = async |policy| {
            let asked = request(&url, "/", Method::GET, "").unwrap();
            match exchange(&url, policy, &LIMITS, asked).await {
                Err(ExchangeError::Connect(error)) => error.code(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ask(EndpointPolicy::Public).await, "address_refused");
        drop(server);
        assert_eq!(ask(EndpointPolicy::Any).await, "refused");
    }
}
