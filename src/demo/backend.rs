//! The MCP server behind the demo: two tools on a loopback socket of its own.
//!
//! It stands where an organiser's server would stand. The proxy reaches it
//! over HTTP with a backend key, through the whole data plane; nothing in
//! the proxy knows that it runs in the same process. Clients of both eras of
//! the protocol are served, with sessions and without.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a session may lie idle: somebody reads on between two commands.
const SESSION_IDLE: Duration = Duration::from_secs(3600);

/// The running MCP server; dropping it stops it.
pub struct Backend {
    /// Where it answers, e.g. `http://127.0.0.1:40123/mcp`.
    pub endpoint: String,
    /// What callers must send as `api-key`; new at every start.
    pub key: SecretString,
    _stop: DropGuard,
}

impl Backend {
    /// Starts the server on a free port of the loopback interface. Fails only
    /// where no such port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}/mcp", listener.local_addr()?);
        let key = random_key()?;
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, router(key.clone(), stop.clone()), stop.clone()));
        Ok(Self { endpoint, key, _stop: stop.drop_guard() })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the backend, on loopback, and its one client is the proxy"
)]
async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!(%error, "the demo's MCP server stopped");
    }
}

fn random_key() -> io::Result<SecretString> {
    let mut bytes = [0u8; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

fn router(key: SecretString, stop: CancellationToken) -> Router {
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(SESSION_IDLE);
    let config = StreamableHttpServerConfig::default().with_cancellation_token(stop);
    let service = StreamableHttpService::new(|| Ok(DemoServer), sessions.into(), config);
    Router::new().nest_service("/mcp", service).layer(middleware::from_fn(
        move |request: Request, next: Next| {
            let admitted = knows(&key, &request);
            async move { if admitted { answer(request, next).await } else { unauthorized() } }
        },
    ))
}

async fn answer(request: Request, next: Next) -> Response {
    let ends_session = request.method() == Method::DELETE;
    let mut response = next.run(request).await;
    // rmcp says 202, which the Python SDK reports to its user as a failure.
    if ends_session && response.status() == StatusCode::ACCEPTED {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

fn knows(key: &SecretString, request: &Request) -> bool {
    request.headers().get("api-key").is_some_and(|given| {
        verify_slices_are_equal(given.as_bytes(), key.expose_secret().as_bytes()).is_ok()
    })
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, axum::Json(serde_json::json!({"error": "Unauthorized"})))
        .into_response()
}

struct DemoServer;

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// What to send back.
    message: String,
}

#[tool_router]
impl DemoServer {
    #[tool(description = "Sends the message back as it came.")]
    fn echo(&self, Parameters(Echo { message }): Parameters<Echo>) -> String {
        message
    }

    #[tool(description = "The time in UTC at this moment, as ISO 8601 writes it.")]
    fn get_current_utc_time(&self) -> String {
        jiff::Timestamp::now().to_string()
    }
}

#[tool_handler(name = "Demo MCP Server")]
impl ServerHandler for DemoServer {}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::RequestBuilder;
    use serde_json::{Value, json};

    async fn backend() -> Backend {
        // reqwest wants a provider even where nothing is encrypted; a second install is refused.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Backend::start().await.expect("a loopback port")
    }

    fn request(backend: &Backend, method: Method) -> RequestBuilder {
        reqwest::Client::new()
            .request(method, &backend.endpoint)
            .header("api-key", backend.key.expose_secret())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
    }

    fn post(backend: &Backend, message: Value) -> RequestBuilder {
        request(backend, Method::POST).body(message.to_string())
    }

    async fn session(backend: &Backend) -> String {
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-03-26",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1.0"},
        }});
        let answer = post(backend, initialize).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.headers()["mcp-session-id"].to_str().unwrap().to_owned()
    }

    /// The result in an answer, whose event stream may begin with an empty event.
    async fn result(answer: reqwest::Response) -> Value {
        assert_eq!(answer.status(), 200);
        let body = answer.text().await.unwrap();
        let data = body.lines().filter_map(|line| line.strip_prefix("data: {")).next();
        let message: Value = serde_json::from_str(&format!("{{{}", data.unwrap())).unwrap();
        message["result"].clone()
    }

    #[tokio::test]
    async fn without_the_backend_key_nothing_is_served() {
        let backend = backend().await;
        let bare = reqwest::Client::new().post(&backend.endpoint).send().await.unwrap();
        assert_eq!(bare.status(), 401);
        let wrong = reqwest::Client::new().post(&backend.endpoint).header("api-key", "guess");
        assert_eq!(wrong.send().await.unwrap().status(), 401);
    }

    #[tokio::test]
    async fn a_legacy_client_gets_a_session_that_ends_with_delete() {
        let backend = backend().await;
        let session = session(&backend).await;
        let list = || {
            post(&backend, json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}))
                .header("mcp-session-id", &session)
        };
        let tools = result(list().send().await.unwrap()).await;
        let names: Vec<_> = tools["tools"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
        assert_eq!(names, ["echo", "get_current_utc_time"]);

        let notice = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let accepted = post(&backend, notice).header("mcp-session-id", &session);
        assert_eq!(accepted.send().await.unwrap().status(), 202);

        let stream = request(&backend, Method::GET).header("mcp-session-id", &session);
        let stream = stream.send().await.unwrap();
        assert_eq!(stream.headers()["content-type"], "text/event-stream");

        let delete = request(&backend, Method::DELETE).header("mcp-session-id", &session);
        assert_eq!(delete.send().await.unwrap().status(), 204);
        assert_eq!(list().send().await.unwrap().status(), 404);
    }

    #[tokio::test]
    async fn a_modern_client_needs_no_session() {
        let backend = backend().await;
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1.0"},
        });
        let send = async |method: &'static str, params: Value| {
            post(&backend, json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
                .header("mcp-protocol-version", "2026-07-28")
                .header("mcp-method", method)
                .header("mcp-name", "echo")
                .send()
                .await
                .unwrap()
        };
        let discovered = result(send("server/discover", json!({"_meta": meta})).await).await;
        assert!(discovered["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));

        let call = json!({"name": "echo", "arguments": {"message": "Hello!"}, "_meta": meta});
        let answer = send("tools/call", call).await;
        assert!(!answer.headers().contains_key("mcp-session-id"));
        assert_eq!(result(answer).await["content"][0]["text"], "Hello!");

        let get = request(&backend, Method::GET).header("mcp-protocol-version", "2026-07-28");
        assert_eq!(get.send().await.unwrap().status(), 405);
    }

    #[tokio::test]
    async fn the_time_is_in_utc() {
        let backend = backend().await;
        let session = session(&backend).await;
        let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
            "params": {"name": "get_current_utc_time", "arguments": {}}});
        let answer = post(&backend, call).header("mcp-session-id", session).send().await.unwrap();
        let text = result(answer).await["content"][0]["text"].as_str().unwrap().to_owned();
        let told: jiff::Timestamp = text.parse().unwrap();
        assert!(
            jiff::Timestamp::now().duration_since(told).abs() < jiff::SignedDuration::from_mins(1)
        );
    }
}
