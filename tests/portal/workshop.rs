//! An owner's workshop: resources, an event and its attendees, and how their calls fare.

use std::time::{Duration, Instant};

use ai_proxy::catalog::attendee::{self, Issued};
use ai_proxy::catalog::audit::Actor;
use ai_proxy::catalog::event::{self, Draft};
use ai_proxy::catalog::resource::{self, KeyChange};
use ai_proxy::catalog::{audit, owner};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::Portal;

/// How long is waited until a change is in force; how soon it must be is what the suite `it` tests.
const IN_FORCE: Duration = Duration::from_secs(20);

pub struct Workshop<'p> {
    portal: &'p Portal,
    pub by: Actor,
}

impl<'p> Workshop<'p> {
    /// Of an owner whom the portal knows.
    pub async fn of(portal: &'p Portal, name: &str) -> Self {
        let owner = owner::find(&portal.app.db, name).await.unwrap().unwrap();
        Self { portal, by: owner.actor(portal.app.clock.now_ms()) }
    }

    /// An MCP server that is registered; its id.
    pub async fn resource(&self, deployment: &str, endpoint: &str, key: &SecretString) -> String {
        let draft = resource::Draft {
            deployment: deployment.into(),
            endpoint: endpoint.into(),
            key: KeyChange::Set(key.clone()),
            ..Default::default()
        };
        let app = &self.portal.app;
        resource::save(&app.db, &app.vault, &self.by, &draft).await.unwrap().id
    }

    /// An event that is open, unless `set` says otherwise; its id.
    pub async fn event(&self, resources: &[&str], set: impl FnOnce(&mut Draft)) -> String {
        let mut draft = Draft {
            name: "Room".into(),
            description: "A room.".into(),
            organizer_name: "Ada".into(),
            organizer_email: "ada@example.org".into(),
            start: "2020-01-01T09:00".into(),
            end: "2099-12-31T18:00".into(),
            resources: resources.iter().map(|&id| id.to_owned()).collect(),
            active: true,
            ..Draft::default()
        };
        set(&mut draft);
        let app = &self.portal.app;
        event::save(&app.db, &app.vault, &self.by, &draft).await.unwrap().id
    }

    pub async fn attendee(&self, event: &str) -> Issued {
        let app = &self.portal.app;
        let issued = attendee::issue(&app.db, &app.vault, &self.by, event, 1, &[]).await;
        issued.unwrap().remove(0)
    }

    /// Reads one number, past the catalog.
    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.portal.app.db.pool()).await.unwrap()
    }

    /// The newest entry of the audit trail, as `action: detail`.
    pub async fn trail(&self) -> String {
        let trail = audit::list(&self.portal.app.db, Some(&self.by.owner_id), None, 1).await;
        let entry = trail.unwrap().remove(0);
        format!("{}: {}", entry.action, entry.detail)
    }

    /// How a tool call fares: `ok`, the code of its refusal, or `cut off`: a call that is under way
    /// when its attendee is switched off gets no whole answer.
    pub async fn call(&self, key: &SecretString, deployment: &str) -> String {
        let url = format!("{}/api/v1/mcp/{deployment}/mcp", self.portal.url);
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
        let request = reqwest::Client::new()
            .post(url)
            .header("api-key", key.expose_secret())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body);
        let answer = async { request.send().await?.json::<serde_json::Value>().await };
        let Ok(answer) = answer.await else { return "cut off".to_owned() };
        match answer["error"]["data"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => "ok".to_owned(),
        }
    }

    /// Waits until calls know the event.
    pub async fn is_in_force(&self, event: &str) {
        let started = Instant::now();
        while !self.portal.app.plane.snapshot.load().events.contains_key(event) {
            assert!(started.elapsed() < IN_FORCE, "{event} is not known");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Calls until it fares so; fails where that takes longer than a change may.
    pub async fn comes_to(&self, key: &SecretString, deployment: &str, expected: &str) {
        let started = Instant::now();
        loop {
            let fares = self.call(key, deployment).await;
            if fares == expected {
                return;
            }
            assert!(started.elapsed() < IN_FORCE, "{fares} instead of {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
