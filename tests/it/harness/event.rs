//! Events and how they change.

use std::sync::Arc;

use ai_proxy::catalog::{attendee, event, resource};
use secrecy::ExposeSecret;

use super::attendee::Attendee;
use super::proxy::Store;

/// An event that is yet to be opened. Its caps stand in no test's way, unless
/// it sets them.
pub struct Plan {
    store: Arc<Store>,
    draft: event::Draft,
    deployments: Option<Vec<String>>,
}

pub struct Event {
    pub id: String,
    store: Arc<Store>,
    draft: event::Draft,
}

impl Plan {
    pub fn new(store: Arc<Store>) -> Self {
        let draft = event::Draft {
            name: "Room".into(),
            description: "A room for *tests*.".into(),
            organizer_name: "Ada".into(),
            organizer_email: "ada@example.org".into(),
            start: "2000-01-01T00:00".into(),
            end: "2999-01-01T00:00".into(),
            daily_request_cap: 100_000,
            requests_per_minute: 100_000,
            burst: 100_000,
            max_open_requests: 10_000,
            active: true,
            ..event::Draft::default()
        };
        Self { store, draft, deployments: None }
    }

    /// Sets any field.
    pub fn with(mut self, set: impl FnOnce(&mut event::Draft)) -> Self {
        set(&mut self.draft);
        self
    }

    pub fn daily_cap(self, cap: u32) -> Self {
        self.with(|draft| draft.daily_request_cap = cap)
    }

    /// So many requests a minute, and so many at once.
    pub fn rate(self, per_minute: u32, burst: u32) -> Self {
        self.with(|draft| (draft.requests_per_minute, draft.burst) = (per_minute, burst))
    }

    pub fn shared_code(self, code: &str) -> Self {
        self.with(|draft| draft.shared_code = Some(code.to_owned().into()))
    }

    /// Only these deployments, in this order.
    pub fn resources<const N: usize>(mut self, deployments: [&str; N]) -> Self {
        self.deployments = Some(deployments.map(str::to_owned).to_vec());
        self
    }

    /// Saves it.
    pub async fn open(mut self) -> Event {
        let Store { db, vault, by, .. } = &*self.store;
        let known = resource::list(db, vault, &by.owner_id).await.expect("resources");
        let wanted = self
            .deployments
            .unwrap_or_else(|| known.iter().map(|found| found.deployment.to_string()).collect());
        let id_of = |name: &String| {
            let found = known.iter().find(|found| *found.deployment == **name);
            found.expect("a registered deployment").id.clone()
        };
        self.draft.resources = wanted.iter().map(id_of).collect();
        let id = event::save(db, vault, by, &self.draft).await.expect("an event").id;
        self.draft.id = Some(id.clone());
        Event { id, store: self.store, draft: self.draft }
    }
}

impl Event {
    /// Saves a change, which is in force within two seconds.
    pub async fn change(&mut self, set: impl FnOnce(&mut event::Draft)) {
        set(&mut self.draft);
        let Store { db, vault, by, .. } = &*self.store;
        event::save(db, vault, by, &self.draft).await.expect("an event");
    }

    pub async fn close_registration(&self) {
        self.set_registration(false).await;
    }

    pub async fn reopen_registration(&self) {
        self.set_registration(true).await;
    }

    async fn set_registration(&self, open: bool) {
        let Store { db, by, .. } = &*self.store;
        event::control::set_registration(db, by, &self.id, open).await.expect("an event");
    }

    /// Sets the end of the window to the millisecond, which no form can. To be
    /// called before the proxy starts: no change is told.
    pub async fn end_at(&self, ends_at_ms: i64) {
        sqlx::query("update event set ends_at = $2 where id = $1")
            .bind(&self.id)
            .bind(ends_at_ms)
            .execute(self.store.db.writer())
            .await
            .expect("an event");
    }

    /// A new attendee with a key of their own.
    pub async fn attendee(&self) -> Attendee {
        self.attendees(1).await.remove(0)
    }

    pub async fn attendees(&self, count: u32) -> Vec<Attendee> {
        let Store { db, vault, by, .. } = &*self.store;
        let issued = attendee::issue(db, vault, by, &self.id, count, &[]).await.expect("keys");
        issued
            .into_iter()
            .map(|issued| {
                let key = issued.api_key.expose_secret().to_owned();
                Attendee { id: issued.attendee_id, key, store: self.store.clone() }
            })
            .collect()
    }

    /// The key that `name` makes of the shared code.
    pub fn shared_key(&self, code: &str, name: &str) -> String {
        format!("{}@{code}/{name}", self.id)
    }
}
