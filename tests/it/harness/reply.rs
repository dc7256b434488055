//! What a backend is told to answer, and the request that it was asked.

use serde_json::{Value, json};

/// A request as it arrived, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Counts the backend's connections, from 0.
    pub connection: usize,
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// In the order of arrival, names as sent.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header that is sent once at most.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers(name);
        assert!(values.len() <= 1, "{name} was sent more than once: {values:?}");
        values.first().copied()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }

    /// All of it, head and body, to be searched.
    pub fn whole(&self) -> String {
        let Self { method, target, headers, body, .. } = self;
        format!("{method} {target}\n{headers:?}\n{}", String::from_utf8_lossy(body))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Its JSON-RPC method.
    pub fn calls(&self, method: &str) -> bool {
        self.json()["method"] == method
    }
}

/// An answer, written as it is told.
#[derive(Clone, Debug)]
pub struct Reply {
    head: String,
    body: Option<Vec<u8>>,
}

impl Reply {
    /// An answer without a body, until it is given one.
    pub fn status(status: u16) -> Self {
        Self { head: format!("HTTP/1.1 {status} Whatever\r\n"), body: Some(Vec::new()) }
    }

    pub fn json(body: &str) -> Self {
        Self::status(200).header("content-type", "application/json").body(body)
    }

    /// The good answer of an MCP server to `request`.
    pub fn to(request: &Request) -> Self {
        let id = &request.json()["id"];
        match request.method.as_str() {
            "POST" if id.is_null() => Self::status(202),
            "POST" => Self::json(&json!({"jsonrpc": "2.0", "id": id, "result": {}}).to_string()),
            "DELETE" => Self::status(200),
            _ => Self::status(405).header("allow", "POST, DELETE"),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    /// Its length is said in a Content-Length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The body is the test's to write: no length is said.
    pub fn open(mut self) -> Self {
        self.body = None;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        match &self.body {
            Some(body) => {
                bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
                bytes.extend(body);
            }
            None => bytes.extend(b"\r\n"),
        }
        bytes
    }
}
