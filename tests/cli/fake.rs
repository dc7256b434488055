//! Servers on loopback that answer as real MCP servers do, and as other things do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub type Reply = Response<BoxBody<Bytes, Infallible>>;

/// A request that has arrived whole.
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub message: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The JSON-RPC method.
    pub fn rpc(&self) -> &str {
        self.message["method"].as_str().unwrap_or_default()
    }
}

/// A server; ends when dropped.
pub struct Fake {
    pub addr: SocketAddr,
    /// `METHOD path rpc-method` of each request, in order.
    pub asked: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Fake {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Fake {
        Self::serve(None, Arc::new(answer)).await
    }

    /// The same behind TLS, with a certificate that nobody has signed.
    pub async fn start_tls(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Fake {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(answer)).await
    }

    pub fn url(&self, path: &str) -> url::Url {
        format!("http://{}{path}", self.addr).parse().unwrap()
    }

    async fn serve(
        tls: Option<TlsAcceptor>,
        answer: Arc<impl Fn(&Asked) -> Reply + Send + Sync + 'static>,
    ) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, answer, log) = (tls.clone(), Arc::clone(&answer), Arc::clone(&log));
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, answer, log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, answer, log).await;
                            }
                        }
                    }
                });
            }
        });
        Fake { addr, asked, accepting }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Arc<impl Fn(&Asked) -> Reply>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let asked = Asked {
            method: head.method,
            path: head.uri.path().to_owned(),
            headers: head.headers,
            message: serde_json::from_slice(&body).unwrap_or_default(),
        };
        log.lock().push(format!("{} {} {}", asked.method, asked.path, asked.rpc()));
        Ok::<_, hyper::Error>(answer(&asked))
    });
    // A client that leaves early is not this server's concern.
    drop(
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

pub fn reply(status: u16, content_type: &str, body: impl Into<Bytes>) -> Reply {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(Full::new(body.into()).boxed())
        .unwrap()
}

pub fn json(status: u16, body: &Value) -> Reply {
    reply(status, "application/json", body.to_string())
}

pub fn rpc_error(status: u16, asked: &Asked, code: i64, message: &str) -> Reply {
    let error = json!({"code": code, "message": message});
    json(status, &json!({"jsonrpc": "2.0", "id": asked.message["id"], "error": error}))
}

/// An event stream that stays open after its events, as a server's may.
pub fn open_stream(events: String) -> Reply {
    use futures_util::{StreamExt, stream};
    let frames = stream::iter([Ok(Frame::data(Bytes::from(events)))]).chain(stream::pending());
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(BodyExt::boxed(StreamBody::new(frames)))
        .unwrap()
}

fn result(asked: &Asked, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": asked.message["id"], "result": result})
}

fn tools(asked: &Asked) -> Value {
    match asked.message["params"]["cursor"].as_str() {
        None => json!({"tools": [{"name": "echo"}], "nextCursor": "2"}),
        Some(_) => json!({"tools": [{"name": "get_current_utc_time"}]}),
    }
}

/// A server with sessions, as FastMCP 2 and 3 are: it insists on what the protocol demands.
pub fn legacy(asked: &Asked) -> Reply {
    const SESSION: &str = "5e55";
    if !asked.header("accept").is_some_and(|accept| accept.contains("text/event-stream")) {
        return rpc_error(406, asked, -32600, "Not Acceptable");
    }
    if asked.rpc() == "initialize" {
        let body = result(
            asked,
            &json!({
                "protocolVersion": asked.message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "Demo MCP Server", "version": "1.2.3"},
            }),
        );
        let mut reply =
            open_stream(format!(": hello\r\n\r\nevent: message\r\ndata: {body}\r\n\r\n"));
        reply.headers_mut().insert("mcp-session-id", SESSION.parse().unwrap());
        return reply;
    }
    if asked.header("mcp-session-id") != Some(SESSION) {
        return rpc_error(400, asked, -32600, "Bad Request: Missing session ID");
    }
    if asked.header("mcp-protocol-version") != Some("2025-11-25") {
        return rpc_error(400, asked, -32600, "Bad Request: Unsupported protocol version");
    }
    match (&asked.method, asked.rpc()) {
        (&Method::DELETE, _) => reply(200, "text/plain", ""),
        (_, "notifications/initialized") => reply(202, "application/json", ""),
        (_, "tools/list") => json(200, &result(asked, &tools(asked))),
        _ => rpc_error(200, asked, -32601, "Method not found"),
    }
}

/// A server without sessions that knows no other revision.
pub fn modern(asked: &Asked) -> Reply {
    if asked.method != Method::POST {
        return reply(405, "text/plain", "");
    }
    let meta = &asked.message["params"]["_meta"];
    let version = "io.modelcontextprotocol/protocolVersion";
    match asked.rpc() {
        "initialize" => rpc_error(404, asked, -32601, "Method not found"),
        _ if asked.header("mcp-protocol-version") != meta[version].as_str()
            || asked.header("mcp-method") != Some(asked.rpc())
            || !meta["io.modelcontextprotocol/clientCapabilities"].is_object() =>
        {
            rpc_error(400, asked, -32020, "Header mismatch")
        }
        "server/discover" => json(
            200,
            &result(
                asked,
                &json!({
                    "resultType": "complete",
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}},
                    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "Modern", "version": "9"}},
                }),
            ),
        ),
        "tools/list" => json(200, &result(asked, &tools(asked))),
        _ => rpc_error(404, asked, -32601, "Method not found"),
    }
}

/// The rest of a site whose MCP server stands at one path.
pub fn only_at(path: &str, asked: &Asked, server: fn(&Asked) -> Reply) -> Reply {
    if asked.path == path { server(asked) } else { reply(404, "text/plain", "Not Found") }
}

/// What the MCP guide's server does with a request that lacks its key.
pub fn guarded(key: &str, asked: &Asked, server: fn(&Asked) -> Reply) -> Reply {
    if asked.header("api-key") == Some(key) {
        server(asked)
    } else {
        json(StatusCode::UNAUTHORIZED.as_u16(), &json!({"error": "Unauthorized"}))
    }
}
