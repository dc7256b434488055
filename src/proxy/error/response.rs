//! The only map from a refusal to a response.

use bytes::Bytes;
use http::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};

use super::table::{Fact, Row};
use super::{ERROR_SOURCE, ProxyError, Shape};
use crate::clock;
use crate::proxy::response_body::Body;

impl Fact<'_> {
    fn put(&self, facts: &mut Map<String, Value>) {
        let mut put = |name: &str, value| drop(facts.insert(name.into(), value));
        match *self {
            Fact::Text(name, text) => put(name, json!(text)),
            Fact::Names(name, names) => put(name, json!(names)),
            Fact::Number(name, number) => put(name, json!(number)),
            Fact::Time(name, at) => put(name, json!(clock::rfc3339(at))),
            Fact::Contact(of) => {
                put("event_name", json!(of.event));
                put("organizer_name", json!(of.name));
                put("organizer_email", json!(of.email));
            }
        }
    }
}

impl ProxyError {
    /// JSON-RPC codes: −32001 is what MCP clients know for a lost session; the
    /// rest keep clear of the range −32020…−32099, which belongs to MCP.
    fn rpc_code(&self) -> i32 {
        if *self == ProxyError::SessionNotFound { -32001 } else { -32010 }
    }

    pub fn into_response(self, shape: Shape) -> Response<Body> {
        let mut response = self.row(|row| response(&row, self.rpc_code(), shape));
        let headers = response.headers_mut();
        if self == ProxyError::AmbiguousFraming {
            // Nobody knows where a next request would begin.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let ProxyError::MethodNotAllowed { allow } = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

fn response(row: &Row<'_>, rpc_code: i32, shape: Shape) -> Response<Body> {
    let message = (row.sentence)();
    let mut facts = Map::new();
    facts.insert("code".into(), json!(row.code));
    if shape == Shape::Plain {
        facts.insert("message".into(), json!(message));
    }
    facts.insert("status".into(), json!(row.status.as_u16()));
    for fact in row.facts {
        fact.put(&mut facts);
    }

    let body = match shape {
        Shape::Plain => json!({ "error": facts }).to_string(),
        Shape::JsonRpc { id } => {
            let error = json!({"code": rpc_code, "message": message, "data": facts});
            let id = id.as_deref().unwrap_or("null");
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
        }
    };

    let mut response = Response::new(Body::full(Bytes::from(body)));
    *response.status_mut() = row.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ERROR_SOURCE, HeaderValue::from_static("proxy"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = row.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
