//! The demo's rows: one resource, one event, one attendee. Made at the first
//! start, found again at the next.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use secrecy::SecretString;

use super::backend::Backend;
use super::{DEPLOYMENT, EVENT_NAME};
use crate::catalog::audit::Actor;
use crate::catalog::event;
use crate::catalog::resource::{self, KeyChange};
use crate::catalog::seal::Vault;
use crate::catalog::{Result, attendee, owner};
use crate::db::Db;

const DAYS_OPEN: i64 = 7;

const DESCRIPTION: &str = "# Welcome\n\nThis event was made by `ai-proxy demo`.";

/// The event that is open, and the key of its one attendee.
pub(super) struct Workshop {
    pub event_id: String,
    pub api_key: SecretString,
}

/// Makes what is missing, points the resource at `backend`, and opens the
/// event if it is closed.
pub(super) async fn prepare(
    db: &Db,
    vault: &Vault,
    backend: &Backend,
    now_ms: i64,
) -> Result<Workshop> {
    let by = owner::local(db, owner::LOCAL, now_ms).await?.actor(now_ms);
    let resource_id = resource(db, vault, &by, backend).await?;
    let event_id = event(db, vault, &by, resource_id).await?;
    let api_key = api_key(db, vault, &by, &event_id).await?;
    Ok(Workshop { event_id, api_key })
}

async fn resource(db: &Db, vault: &Vault, by: &Actor, backend: &Backend) -> Result<String> {
    let stored = resource::list(db, vault, &by.owner_id).await?;
    let stored = stored.into_iter().find(|resource| &*resource.deployment == DEPLOYMENT);
    let draft = resource::Draft {
        id: stored.map(|resource| resource.id),
        deployment: DEPLOYMENT.into(),
        name: "Demo MCP Server".into(),
        endpoint: backend.endpoint.clone(),
        key: KeyChange::Set(backend.key.clone()),
        ..resource::Draft::default()
    };
    Ok(resource::save(db, vault, by, &draft).await?.id)
}

async fn event(db: &Db, vault: &Vault, by: &Actor, resource_id: String) -> Result<String> {
    let stored = event::list(db, vault, &by.owner_id).await?;
    let stored = stored.into_iter().find(|event| event.name == EVENT_NAME);
    let mut draft = stored.as_ref().map_or_else(|| new_event(by.at), event::Draft::from);
    draft.active = true;
    if stored.as_ref().is_some_and(|event| event.ends_at < by.at) {
        draft.end = wall_clock(&draft.time_zone, by.at, DAYS_OPEN);
    }
    if !draft.resources.contains(&resource_id) {
        draft.resources.push(resource_id);
    }
    Ok(event::save(db, vault, by, &draft).await?.id)
}

fn new_event(now_ms: i64) -> event::Draft {
    let zone = TimeZone::try_system().ok();
    let time_zone = zone.as_ref().and_then(TimeZone::iana_name).unwrap_or("UTC").to_owned();
    event::Draft {
        name: EVENT_NAME.into(),
        description: DESCRIPTION.into(),
        organizer_name: "Demo organiser".into(),
        organizer_email: "organiser@example.org".into(),
        start: wall_clock(&time_zone, now_ms, 0),
        end: wall_clock(&time_zone, now_ms, DAYS_OPEN),
        time_zone,
        ..event::Draft::default()
    }
}

/// The wall clock in `time_zone`, `days` from `now_ms`, to the minute that has begun.
fn wall_clock(time_zone: &str, now_ms: i64, days: i64) -> String {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(zone).datetime();
    now.saturating_add(Span::new().days(days)).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// The key of the first attendee who may call; of a new one where there is none.
async fn api_key(db: &Db, vault: &Vault, by: &Actor, event_id: &str) -> Result<SecretString> {
    let attendees = attendee::list(db, &by.owner_id, event_id).await?;
    if let Some(attendee) = attendees.iter().find(|attendee| attendee.active) {
        return attendee::reveal_key(db, vault, &by.owner_id, &attendee.id).await;
    }
    let names = ["Demo attendee".to_owned()];
    let issued = attendee::issue(db, vault, by, event_id, 1, &names).await?;
    Ok(issued.into_iter().next().expect("one was asked for").api_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::event::Event;
    use crate::catalog::seal::MasterKey;
    use crate::clock::now_ms;
    use secrecy::ExposeSecret;

    struct Store {
        db: Db,
        vault: Vault,
        _folder: tempfile::TempDir,
    }

    async fn store() -> Store {
        let folder = tempfile::tempdir().unwrap();
        let (key, _) = MasterKey::load(folder.path(), None, None).unwrap();
        let url = format!("sqlite://{}", folder.path().join("ai-proxy.db").display());
        let db = Db::open(&url).await.unwrap();
        Store { db, vault: Vault::new(&key, None), _folder: folder }
    }

    impl Store {
        async fn start(&self) -> (Workshop, Backend) {
            let backend = Backend::start().await.unwrap();
            (prepare(&self.db, &self.vault, &backend, now_ms()).await.unwrap(), backend)
        }

        async fn owner(&self) -> Actor {
            owner::local(&self.db, owner::LOCAL, now_ms()).await.unwrap().actor(now_ms())
        }

        async fn event(&self, id: &str) -> Event {
            let by = self.owner().await;
            event::get(&self.db, &self.vault, &by.owner_id, id).await.unwrap()
        }

        async fn change(&self, id: &str, change: impl Fn(&mut event::Draft)) {
            let mut draft = event::Draft::from(&self.event(id).await);
            change(&mut draft);
            event::save(&self.db, &self.vault, &self.owner().await, &draft).await.unwrap();
        }
    }

    fn is_open(event: &Event) -> bool {
        let now = now_ms();
        event.active && (event.starts_at..=event.ends_at).contains(&now)
    }

    #[tokio::test]
    async fn the_second_start_keeps_event_and_key_and_follows_the_backend() {
        let store = store().await;
        let (first, _) = store.start().await;
        let (second, backend) = store.start().await;
        assert_eq!(first.event_id, second.event_id);
        assert_eq!(first.api_key.expose_secret(), second.api_key.expose_secret());

        let event = store.event(&second.event_id).await;
        assert!(is_open(&event));
        assert_eq!(event.resources.len(), 1);
        let resource = &event.resources[0];
        assert_eq!(&*resource.deployment, "mcp-demo");
        assert_eq!(resource.endpoint.url.as_str(), backend.endpoint);
        let key = resource.key.as_ref().unwrap().expose_secret();
        assert_eq!(key, backend.key.expose_secret());
    }

    #[tokio::test]
    async fn a_closed_event_is_opened_again_and_keeps_the_rest() {
        let store = store().await;
        let (first, _) = store.start().await;
        store
            .change(&first.event_id, |draft| {
                draft.start = "2020-01-01T09:00".into();
                draft.end = "2020-01-02T09:00".into();
                draft.daily_request_cap = 7;
                draft.resources.clear();
                draft.active = false;
            })
            .await;
        let (second, _) = store.start().await;
        assert_eq!(first.event_id, second.event_id);
        let event = store.event(&second.event_id).await;
        assert!(is_open(&event));
        assert_eq!(event.start_local, "2020-01-01T09:00");
        assert_eq!(event.daily_request_cap, 7);
        assert_eq!(event.resources.len(), 1);
    }

    #[tokio::test]
    async fn a_key_that_was_switched_off_is_not_handed_out() {
        let store = store().await;
        let (first, _) = store.start().await;
        let by = store.owner().await;
        let attendees = attendee::list(&store.db, &by.owner_id, &first.event_id).await.unwrap();
        attendee::set_active(&store.db, &by, &attendees[0].id, false).await.unwrap();
        let (second, _) = store.start().await;
        assert_ne!(first.api_key.expose_secret(), second.api_key.expose_secret());
    }
}
