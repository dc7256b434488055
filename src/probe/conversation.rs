//! The conversation: open, list the tools, leave. Both eras of MCP are spoken:
//! with sessions (`initialize`, up to 2025-11-25) and without (2026-07-28).

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::body::LARGEST_ANSWER;
use super::failure::Failure;
use super::opening::{OpeningFailure, WITH_SESSIONS, initialize, more_telling, opening};
use super::report::{Report, ServerInfo};
use super::rpc::{SESSION_ID, client_info, common_headers, post, result, session_id};
use super::transport::{ProbeAnswer, ProbeTarget, Transport};
use crate::clock::millis;

const WITHOUT_SESSIONS: &str = "2026-07-28";
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Pages of `tools/list` that are read: a backend must not keep us for ever.
const MOST_PAGES: usize = 50;

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

/// A conversation that was opened.
pub struct Conversation<'a, T> {
    transport: &'a T,
    version: String,
    id: Option<HeaderValue>,
    affinity: Option<HeaderValue>,
    has_tools: bool,
}

/// A tool, as its server describes it. Texts are the beginning of what was sent.
#[derive(Clone, Debug)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// The JSON Schema of its arguments, as sent: anything.
    pub schema: Value,
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
        Ok(self.described_tools().await?.into_iter().map(|tool| tool.name).collect())
    }

    /// The server's tools, in its order.
    ///
    /// # Errors
    /// Why there is no such list.
    pub async fn described_tools(&self) -> Result<Vec<Tool>, Failure> {
        const METHOD: &str = "tools/list";
        let mut tools = Vec::new();
        let mut params = json!({});
        let mut left = LARGEST_ANSWER;
        if !self.has_tools {
            return Ok(tools);
        }
        for _ in 0..MOST_PAGES {
            let answer = self.ask(METHOD, params).await?;
            // All pages together, however many there are.
            left = left
                .checked_sub(answer.bytes)
                .ok_or(Failure::TooMuch { method: METHOD, most: LARGEST_ANSWER })?;
            let result = result(self.target(), METHOD, &answer)?;
            let listed = result["tools"].as_array().ok_or(Failure::Malformed {
                method: METHOD,
                reason: "it holds no list of tools",
            })?;
            tools.extend(listed.iter().filter_map(|tool| self.tool(tool)));
            match result["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
        Ok(tools)
    }

    fn tool(&self, described: &Value) -> Option<Tool> {
        let text = |value: &Value| self.target().plain(value.as_str().unwrap_or_default());
        Some(Tool {
            name: self.target().plain(described["name"].as_str()?),
            description: text(&described["description"]),
            schema: described["inputSchema"].clone(),
        })
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
        Ok(ToolResult { is_error, text: self.target().plain(text) })
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

    async fn ask(&self, method: &'static str, mut params: Value) -> Result<ProbeAnswer, Failure> {
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

    fn report(&self, answer: &ProbeAnswer, server: &Value) -> Report {
        let text = |field: &str| self.target().plain(server[field].as_str().unwrap_or_default());
        Report {
            server: ServerInfo { name: text("name"), version: text("version") },
            protocol_version: self.target().plain(&self.version),
            tools: Vec::new(),
            constant_session: None,
            connect_ms: millis(answer.connected_in),
            latency_ms: millis(answer.answered_in),
        }
    }
}
