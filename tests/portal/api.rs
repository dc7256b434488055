//! The JSON API, as a program asks it with a token.

mod attendees;
mod description;
mod events;
mod guards;
mod resources;
mod tokens;
mod versions;

use ai_proxy::catalog::owner::{self, api_token};
use reqwest::header::{ETAG, HeaderMap, IF_MATCH};
use reqwest::{Client, Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::Portal;

const BASE: &str = "/api/admin/v1";

/// A program with a token.
struct Program {
    url: String,
    token: String,
}

/// What was answered.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The body of an answer that is good news.
    #[track_caller]
    fn done(self) -> Value {
        assert!(self.status < 300, "{}: {}", self.status, self.body);
        self.body
    }

    /// The version that it shows.
    #[track_caller]
    fn etag(&self) -> &str {
        self.headers[ETAG].to_str().unwrap()
    }

    /// Status, code and message of a refusal.
    #[track_caller]
    fn refusal(&self) -> String {
        let error = &self.body["error"];
        assert_eq!(error["status"], self.status, "{}", self.body);
        format!("{} {}: {}", self.status, error["code"], error["message"])
    }
}

impl Program {
    /// Made for the owner `name`, who is made as well.
    async fn of(portal: &Portal, name: &str) -> Self {
        let now = portal.app.clock.now_ms();
        let owner = owner::local(&portal.app.db, name, now).await.unwrap();
        let token =
            api_token::create(&portal.app.db, &owner.actor(now), "CI", Some(1)).await.unwrap();
        Self { url: portal.url.clone(), token: token.expose_secret().to_owned() }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_if(&[], method, path, body).await
    }

    /// Sends it with these `If-Match` headers.
    async fn send_if(
        &self,
        tags: &[&str],
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Client::new()
            .request(method, format!("{}{BASE}{path}", self.url))
            .bearer_auth(&self.token);
        for tag in tags {
            request = request.header(IF_MATCH, *tag);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = if status == StatusCode::NO_CONTENT {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
        };
        Answer { status: status.as_u16(), headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// A resource; its path.
    async fn resource(&self) -> String {
        let made = self.post("/resources", resource()).await.done();
        format!("/resources/{}", made["id"].as_str().unwrap())
    }

    /// An event that is open now; its path.
    async fn event(&self) -> String {
        let made = self.post("/events", event()).await.done();
        format!("/events/{}", made["id"].as_str().unwrap())
    }
}

fn resource() -> Value {
    json!({"deployment": "demo", "endpoint": "http://127.0.0.1:9/mcp", "key": "s3cret"})
}

fn event() -> Value {
    json!({
        "name": "Demo", "description": "# Hello", "organizer_name": "Ada",
        "organizer_email": "ada@example.org", "start": "2020-01-01T09:00",
        "end": "2099-01-01T18:00", "time_zone": "Europe/Berlin", "active": true,
    })
}
