//! Small MCP servers on loopback: one that works, and others.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::response::IntoResponse;
use http::{HeaderMap, Method, StatusCode, Uri};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub rpc: String,
    pub headers: HeaderMap,
}

/// A server with sessions, that does not let them be ended; stops when dropped. Beside its
/// path there is nothing (404), for which it is too busy (503) when it is not asked by a call.
pub struct Server {
    addr: SocketAddr,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::giving(|n| format!("s-{n}"), answer).await
    }

    /// Gives everybody one session.
    pub async fn with_one_session() -> Self {
        Self::giving(|_| "stateless".to_owned(), answer).await
    }

    /// One whose list of tools has another page of so many bytes, and another.
    pub async fn with_pages_of(bytes: usize) -> Self {
        let answer = move |rpc: &str, message: &Value| match rpc {
            "tools/list" => {
                let tools = json!([{"name": "x", "description": "x".repeat(bytes)}]);
                let result = json!({"tools": tools, "nextCursor": "more"});
                let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                axum::Json(body).into_response()
            }
            rpc => answer(rpc, message),
        };
        Self::giving(|n| format!("s-{n}"), answer).await
    }

    /// `id` is that of the `n`th session that it opens.
    #[expect(clippy::disallowed_methods, reason = "a backend whose one client is the proxy")]
    async fn giving<A>(
        id: impl Fn(usize) -> String + Copy + Send + Sync + 'static,
        answer: A,
    ) -> Self
    where
        A: Fn(&str, &Value) -> axum::response::Response + Clone + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let router = axum::Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: bytes::Bytes| async move {
                if uri.path() != "/mcp" {
                    let is_call = headers.contains_key("x-request-id");
                    let status = if is_call { 404 } else { 503 };
                    return StatusCode::from_u16(status).unwrap().into_response();
                }
                let message: Value = serde_json::from_slice(&body).unwrap_or_default();
                let rpc = message["method"].as_str().unwrap_or_default().to_owned();
                let mut log = log.lock();
                log.push(Asked { method, rpc: rpc.clone(), headers });
                let mut answer = answer(&rpc, &message);
                if rpc == "initialize" {
                    let n = log.iter().filter(|asked| asked.rpc == rpc).count();
                    answer.headers_mut().insert("mcp-session-id", id(n).parse().unwrap());
                }
                answer
            },
        );
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { addr, asked, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }
}

fn answer(rpc: &str, message: &Value) -> axum::response::Response {
    let result = match rpc {
        "" => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        "notifications/initialized" => return StatusCode::ACCEPTED.into_response(),
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "Little", "version": "1"},
        }),
        "tools/list" => json!({"tools": [{"name": "echo"}, {"name": "break"}]}),
        _ => {
            let is_error = message["params"]["name"] == "break";
            let text = if is_error { "out of order" } else { "echoed" };
            json!({"content": [{"type": "text", "text": text}], "isError": is_error})
        }
    };
    let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    axum::Json(body).into_response()
}

/// Reads a request and then writes `head` and, for as long as somebody reads, `more`;
/// its URL. Nothing at all where both are empty.
pub async fn saying(head: &'static str, more: &str) -> String {
    let more = more.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let more = more.clone();
            tokio::spawn(async move {
                let mut request = [0; 16 * 1024];
                let _ = stream.read(&mut request).await;
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() && !more.is_empty() {
                    sent = stream.write_all(more.as_bytes()).await;
                }
                // Until the other side hangs up.
                while matches!(stream.read(&mut request).await, Ok(1..)) {}
            });
        }
    });
    url
}

/// An URL where nobody listens.
pub async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/mcp", listener.local_addr().unwrap())
}
