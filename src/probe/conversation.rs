//! The conversation: open, list the tools, leave. Both eras of MCP are spoken:
//! with sessions (`initialize`, up to 2025-11-25) and without (2026-07-28).

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::exchange::{Answer, Content, LARGEST_ANSWER, plain};
use super::{Failure, ProbeTarget, Report, ServerInfo, Transport};
use crate::net::client::{self, ClientError};

const WITH_SESSIONS: &str = "2025-11-25";
const WITHOUT_SESSIONS: &str = "2026-07-28";
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Pages of `tools/list` that are read: a backend must not keep us for ever.
const MOST_PAGES: usize = 50;

/// Opens in whichever way the server understands, lists its tools and leaves.
pub(super) async fn with(target: &ProbeTarget) -> Result<Report, Failure> {
    let (conversation, report) = Conversation::open(target).await?;
    let tools = conversation.tools().await;
    let constant_session = conversation.constant().await.map(Box::new);
    if constant_session.is_none() {
        // Its answer makes no difference.
        drop(conversation.leave().await);
    }
    Ok(Report { tools: tools?, constant_session, ..report })
}

/// The id of the session that the server gives to everybody, if it does: two are opened,
/// and ended again unless they are one.
///
/// # Errors
/// Why the server cannot be asked.
pub async fn constant_session(target: &ProbeTarget) -> Result<Option<HeaderValue>, Failure> {
    let answer = initialize(target).await?;
    let first = Conversation {
        id: session_id(&answer),
        affinity: answer.affinity,
        ..Conversation::new(target)
    };
    let constant = first.constant().await;
    if constant.is_none() {
        drop(first.leave().await);
    }
    Ok(constant)
}

async fn initialize(transport: &impl Transport) -> Result<Answer, Failure> {
    let params = json!({
        "protocolVersion": WITH_SESSIONS, "capabilities": {}, "clientInfo": client_info(),
    });
    post(transport, HeaderMap::new(), "initialize", params).await
}

/// The id of the session that an answer opens; an empty one is none.
fn session_id(answer: &Answer) -> Option<HeaderValue> {
    let id = answer.headers.get(SESSION_ID).filter(|_| answer.status.is_success());
    id.filter(|id| !id.is_empty()).cloned()
}

/// Of the refusals to open in the one era and in the other, that which says more:
/// a server of the other era says only that it has no such method.
fn more_telling(first: Failure, second: Failure) -> Failure {
    const METHOD_NOT_FOUND: i64 = -32601;
    match (&first, &second) {
        (Failure::Protocol { code, .. }, _) if *code != METHOD_NOT_FOUND => first,
        (_, Failure::Protocol { .. }) => second,
        _ => first,
    }
}

/// Why an opening failed, and whether the other era's opening may fare better.
struct OpeningFailure {
    failure: Failure,
    another_era: bool,
}

impl From<Failure> for OpeningFailure {
    fn from(failure: Failure) -> Self {
        OpeningFailure { failure, another_era: false }
    }
}

/// A conversation that was opened.
pub struct Conversation<'a, T> {
    transport: &'a T,
    version: String,
    id: Option<HeaderValue>,
    affinity: Option<HeaderValue>,
    has_tools: bool,
}

/// What a tool gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The tool says that it failed.
    pub is_error: bool,
    /// The beginning of its first text; empty where it gave none.
    pub text: String,
}

impl<'a, T: Transport> Conversation<'a, T> {
    fn new(transport: &'a T) -> Self {
        let (id, affinity, has_tools) = (None, None, true);
        Self { transport, version: WITH_SESSIONS.to_owned(), id, affinity, has_tools }
    }

    /// Opens in whichever way the server understands. The report names no tools yet.
    ///
    /// # Errors
    /// Why the server cannot be used.
    pub async fn open(transport: &'a T) -> Result<(Self, Report), Failure> {
        match Self::initialize(transport).await {
            Err(OpeningFailure { failure, another_era: true }) => Self::discover(transport)
                .await
                .map_err(|second| more_telling(failure, second.failure)),
            first => first.map_err(|refused| refused.failure),
        }
    }

    async fn initialize(transport: &'a T) -> Result<(Self, Report), OpeningFailure> {
        let answer = initialize(transport).await?;
        let result = opening(transport, "initialize", &answer).await?;
        let version = result["protocolVersion"].as_str().ok_or(Failure::Malformed {
            method: "initialize",
            reason: "it names no protocol version",
        })?;
        let conversation = Conversation {
            transport,
            version: version.to_owned(),
            id: session_id(&answer),
            affinity: answer.affinity.clone(),
            has_tools: result["capabilities"].get("tools").is_some(),
        };
        let mut headers = common_headers();
        conversation.put_headers(&mut headers);
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        transport.ask(Method::POST, headers, Some(&ready)).await?;
        let report = conversation.report(&answer, &result["serverInfo"]);
        Ok((conversation, report))
    }

    async fn discover(transport: &'a T) -> Result<(Self, Report), OpeningFailure> {
        let version = WITHOUT_SESSIONS.to_owned();
        let conversation = Conversation { version, ..Conversation::new(transport) };
        let answer = conversation.ask("server/discover", json!({})).await?;
        let result = opening(transport, "server/discover", &answer).await?;
        let has_tools = result["capabilities"].get("tools").is_some();
        let report =
            conversation.report(&answer, &result["_meta"]["io.modelcontextprotocol/serverInfo"]);
        Ok((Conversation { has_tools, ..conversation }, report))
    }

    /// The names of the server's tools, in its order.
    ///
    /// # Errors
    /// Why there is no such list.
    pub async fn tools(&self) -> Result<Vec<String>, Failure> {
        const METHOD: &str = "tools/list";
        let mut names = Vec::new();
        let mut params = json!({});
        let mut left = LARGEST_ANSWER;
        if !self.has_tools {
            return Ok(names);
        }
        for _ in 0..MOST_PAGES {
            let answer = self.ask(METHOD, params).await?;
            // All pages together, however many there are.
            left = left
                .checked_sub(answer.bytes)
                .ok_or(Failure::TooMuch { method: METHOD, most: LARGEST_ANSWER })?;
            let result = result(self.target(), METHOD, &answer)?;
            let tools = result["tools"].as_array().ok_or(Failure::Malformed {
                method: METHOD,
                reason: "it holds no list of tools",
            })?;
            let listed = tools.iter().filter_map(|tool| tool["name"].as_str());
            names.extend(listed.map(|name| plain(self.target(), name)));
            match result["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
        Ok(names)
    }

    /// Calls one tool.
    ///
    /// # Errors
    /// Why it could not be called; a tool that says of itself that it failed is none.
    pub async fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<ToolResult, Failure> {
        const METHOD: &str = "tools/call";
        let answer = self.ask(METHOD, json!({"name": name, "arguments": arguments})).await?;
        let result = result(self.target(), METHOD, &answer)?;
        let texts = result["content"].as_array().into_iter().flatten();
        let text = texts.filter_map(|part| part["text"].as_str()).next().unwrap_or_default();
        let is_error = result["isError"] == true;
        Ok(ToolResult { is_error, text: plain(self.target(), text) })
    }

    /// The session's id, if the server gives this one to everybody: another session is
    /// opened to compare, and ended if it is another. A constant one must not be ended,
    /// because everybody's would end with it.
    pub async fn constant(&self) -> Option<HeaderValue> {
        let id = self.id.as_ref()?;
        let answer = initialize(self.transport).await.ok()?;
        let second = Conversation {
            id: session_id(&answer),
            affinity: answer.affinity,
            ..Conversation::new(self.transport)
        };
        if second.id.as_ref() == Some(id) {
            return second.id;
        }
        drop(second.leave().await);
        None
    }

    /// Ends the session, so that the backend need not keep it: the status that it answers,
    /// where there was one to end.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn leave(&self) -> Result<Option<StatusCode>, Failure> {
        if self.id.is_none() {
            return Ok(None);
        }
        let mut headers = common_headers();
        self.put_headers(&mut headers);
        let answer = self.transport.ask(Method::DELETE, headers, None).await?;
        Ok(Some(answer.status))
    }

    fn target(&self) -> &ProbeTarget {
        self.transport.target()
    }

    async fn ask(&self, method: &'static str, mut params: Value) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        self.put_headers(&mut headers);
        if self.version == WITHOUT_SESSIONS {
            headers.insert(MCP_METHOD, HeaderValue::from_static(method));
            if let Some(Ok(name)) = params["name"].as_str().map(HeaderValue::from_str) {
                headers.insert(MCP_NAME, name);
            }
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": self.version,
                "io.modelcontextprotocol/clientInfo": client_info(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        post(self.transport, headers, method, params).await
    }

    fn put_headers(&self, headers: &mut HeaderMap) {
        if let Ok(version) = HeaderValue::from_str(&self.version) {
            headers.insert(PROTOCOL_VERSION, version);
        }
        if let Some(id) = &self.id {
            headers.insert(SESSION_ID, id.clone());
            if let Some(affinity) = &self.affinity {
                headers.insert(header::COOKIE, affinity.clone());
            }
        }
    }

    fn report(&self, answer: &Answer, server: &Value) -> Report {
        let text = |field: &str| plain(self.target(), server[field].as_str().unwrap_or_default());
        Report {
            server: ServerInfo { name: text("name"), version: text("version") },
            protocol_version: plain(self.target(), &self.version),
            tools: Vec::new(),
            constant_session: None,
            connect_ms: millis(answer.connected_in),
            latency_ms: millis(answer.answered_in),
        }
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn client_info() -> Value {
    json!({"name": "ai-proxy", "version": env!("CARGO_PKG_VERSION")})
}

fn common_headers() -> HeaderMap {
    let both = HeaderValue::from_static("application/json, text/event-stream");
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(header::ACCEPT, both), (header::CONTENT_TYPE, json)])
}

async fn post(
    transport: &impl Transport,
    headers: HeaderMap,
    method: &'static str,
    params: Value,
) -> Result<Answer, Failure> {
    let mut all = common_headers();
    all.extend(headers);
    let message = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
    transport.ask(Method::POST, all, Some(&message)).await
}

/// The result of an opening request, or why there is none.
async fn opening(
    transport: &impl Transport,
    method: &'static str,
    answer: &Answer,
) -> Result<Value, OpeningFailure> {
    let failure = match result(transport.target(), method, answer) {
        Ok(result) => return Ok(result),
        Err(failure) => failure,
    };
    let spoke_json_rpc = matches!(answer.content, Content::Message(_));
    let elsewhere = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    if elsewhere && !spoke_json_rpc && is_sse_only(transport).await {
        return Err(Failure::SseOnly.into());
    }
    let settled = matches!(failure, Failure::Unauthorized { .. });
    let another_era = spoke_json_rpc || (answer.status.is_client_error() && !elsewhere && !settled);
    Err(OpeningFailure { failure, another_era })
}

/// The result in an answer, or what stands in its place.
fn result(target: &ProbeTarget, method: &'static str, answer: &Answer) -> Result<Value, Failure> {
    let status = answer.status;
    match (&answer.content, status) {
        (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let sent_as = target.credential.as_ref().map(|(header, _)| header.clone());
            Err(Failure::Unauthorized { status, sent_as })
        }
        (Content::Message(message), _) => match message.get("result") {
            Some(result) if status.is_success() => Ok(result.clone()),
            _ => {
                let error = &message["error"];
                let message = plain(target, error["message"].as_str().unwrap_or_default());
                let code = error["code"].as_i64().unwrap_or_default();
                Err(Failure::Protocol { method, code, message })
            }
        },
        (_, StatusCode::TOO_MANY_REQUESTS) => Err(Failure::BackendError { status }),
        (_, status) if status.is_server_error() => Err(Failure::BackendError { status }),
        (_, StatusCode::MISDIRECTED_REQUEST) => {
            let host = client::authority(&target.url).ok_or(ClientError::BadUrl)?;
            Err(Failure::HostRefused { host })
        }
        (_, StatusCode::NOT_FOUND) => Err(Failure::NotFound { path: target.url.path().to_owned() }),
        (Content::SseEndpoint, _) => Err(Failure::SseOnly),
        (Content::Other(what), status) => Err(Failure::NotMcp { status, what }),
    }
}

/// Whether a GET opens a stream of the HTTP+SSE transport of 2024-11-05.
async fn is_sse_only(transport: &impl Transport) -> bool {
    let accept = HeaderValue::from_static("text/event-stream");
    let headers = HeaderMap::from_iter([(header::ACCEPT, accept)]);
    let answer = transport.ask(Method::GET, headers, None).await;
    answer.is_ok_and(|answer| matches!(answer.content, Content::SseEndpoint))
}
