//! Attendees and what they ask for.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use ai_proxy::catalog::attendee;

use super::proxy::{Replica, Store};
use super::wire::{Answer, Wire};
use super::{CALL, PING};

/// Where the deployment `demo` is served.
pub const DEMO: &str = "/api/v1/mcp/demo";

/// One person in one event, with their key.
#[derive(Clone)]
pub struct Attendee {
    pub id: String,
    pub key: String,
    pub store: Arc<Store>,
}

impl Attendee {
    /// A request with the attendee's key.
    pub fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(self.store.clone(), method, target).header("api-key", &self.key)
    }

    /// A tool call, or, by a method that has no body, a request without one.
    pub fn ask_or_call(&self, method: &str, target: &str) -> Ask {
        let ask = self.ask(method, target);
        if method == "POST" { ask.json(CALL) } else { ask }
    }

    /// A JSON-RPC message to `demo`.
    pub fn post(&self, body: &str) -> Ask {
        self.ask("POST", DEMO).json(body)
    }

    /// A GET stream of `demo`.
    pub fn get(&self) -> Ask {
        self.ask("GET", DEMO).header("accept", "text/event-stream")
    }

    /// The end of a session of `demo`.
    pub fn delete(&self, session: &str) -> Ask {
        self.ask("DELETE", DEMO).session(session)
    }

    /// Calls a tool of `demo`.
    pub async fn call(&self) -> Answer {
        self.post(CALL).await
    }

    /// The head of a request with the attendee's key; `lines` are header lines
    /// as they are to be sent, right or wrong.
    pub fn head(&self, method: &str, target: &str, lines: &str) -> String {
        let key = &self.key;
        format!("{method} {target} HTTP/1.1\r\nhost: proxy.test\r\napi-key: {key}\r\n{lines}\r\n")
    }

    /// A whole POST to `target`, as it is sent.
    pub fn raw(&self, target: &str, body: &str) -> String {
        let lines = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        self.head("POST", target, &lines) + body
    }

    /// How a message that does not count fares: the code of its refusal, `ok`, or
    /// `cut` where a change ended it under way.
    pub async fn fares(&self) -> String {
        match self.post(PING).send().await.answer().await {
            Ok(answer) if answer.status == 200 => "ok".into(),
            Ok(answer) => answer.code(),
            Err(_) => "cut".into(),
        }
    }

    /// What `/usage` says.
    pub async fn usage(&self) -> serde_json::Value {
        let answer = self.ask("GET", "/api/v1/usage").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// What the attendee is shown as used today.
    pub async fn used(&self) -> u64 {
        self.usage().await["used"].as_u64().expect("a number")
    }

    pub async fn set_active(&self, active: bool) {
        let Store { db, by, .. } = &*self.store;
        attendee::set_active(db, by, &self.id, active).await.expect("an attendee");
    }
}

/// A request; awaited, it is sent on a connection of its own and answered.
pub struct Ask {
    store: Arc<Store>,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    pub fn new(store: Arc<Store>, method: &str, target: &str) -> Self {
        let (method, target) = (method.into(), target.into());
        Self { store, method, target, headers: Vec::new(), body: None }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Takes the headers of that name away.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// With another key, in the `api-key` header.
    pub fn key(self, key: &str) -> Self {
        self.without("api-key").header("api-key", key)
    }

    pub fn session(self, id: &str) -> Self {
        self.header("mcp-session-id", id)
    }

    pub fn to(mut self, target: &str) -> Self {
        self.target = target.into();
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub fn json(self, body: &str) -> Self {
        self.header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body)
    }

    /// The head alone, without a Content-Length.
    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += "host: proxy.test\r\n";
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// The whole request as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let Some(body) = &self.body else { return self.head().into_bytes() };
        let head = self.head();
        let head = head.strip_suffix("\r\n").expect("a head");
        let mut bytes = format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
        bytes
    }

    /// Sends it; what comes of it is to be read from the wire.
    pub async fn send(&self) -> Wire {
        self.send_to(self.store.addr()).await
    }

    async fn send_to(&self, addr: SocketAddr) -> Wire {
        let mut wire = Wire::connect(addr).await;
        wire.send(self.bytes()).await.expect("the proxy reads");
        wire
    }
}

impl Ask {
    /// Asks another replica than the first.
    pub async fn at(&self, replica: &Replica) -> Answer {
        self.send_to(replica.addr).await.answer().await.expect("a whole answer")
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await.answer().await.expect("a whole answer") })
    }
}
