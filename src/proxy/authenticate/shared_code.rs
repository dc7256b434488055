//! Keys that attendees make of an event's shared code: the code is compared, and whoever is new joins.

use std::net::IpAddr;
use std::sync::Arc;

use super::{CachedKey, Keys, code_matches};
use crate::catalog;
use crate::catalog::attendee::{self, Joined};
use crate::catalog::event::Event;
use crate::proxy::attendee::live::Means;
use crate::proxy::caller::is_open;
use crate::proxy::error::{Organizer, ProxyError};
use crate::proxy::guessing::{self, Comparison};
use crate::proxy::shared_key::SharedKey;

impl Keys {
    pub(super) async fn join_by_code(
        self: &Arc<Self>,
        shared: &SharedKey<'_>,
        source: IpAddr,
    ) -> Result<Arc<CachedKey>, ProxyError> {
        self.check_code(shared, source).await?;
        let snapshot = self.snapshot.load_full();
        let event = snapshot.events.get(shared.event_id).ok_or(ProxyError::InvalidKey)?;
        if shared.normal.is_none() {
            return Err(ProxyError::NameNotUsable);
        }
        is_open(event, self.clock.now_ms())?;
        let (keys, event, name) = (self.clone(), event.clone(), shared.name.to_owned());
        self.control
            .ask(async move {
                let changes = keys.lives.changes();
                let (db, vault) = (&keys.control.db, &keys.control.vault);
                let organizer = || Organizer::from(&*event);
                match attendee::join_by_shared_code(db, vault, &event, &name, keys.clock.now_ms())
                    .await
                {
                    Ok(Joined::New(joined) | Joined::Known(joined)) => {
                        keys.learn(&joined, changes, (Means::SharedCode, None)).await.map(Ok)
                    }
                    // Kept like an attendee who is switched off, so that calls with the key
                    // cost no query; by the user id, since there is no other.
                    Ok(Joined::Deleted(user_id)) => {
                        let (live, _) = keys.lives.enter(&user_id, &event.id);
                        Ok(Ok(keys.known(live, changes, (false, None), (Means::SharedCode, None))))
                    }
                    Ok(Joined::Full) => Ok(Err(ProxyError::EventFull(organizer()))),
                    Ok(Joined::Shut(why)) => {
                        Ok(Err(ProxyError::RegistrationClosed(organizer(), why)))
                    }
                    Ok(Joined::NameNotUsable) => Ok(Err(ProxyError::NameNotUsable)),
                    // Deleted an instant ago, which the snapshot does not show yet.
                    Err(catalog::Error::NotFound { .. }) => Ok(Err(ProxyError::InvalidKey)),
                    Err(error) => Err(error),
                }
            })
            .await?
    }

    /// Compares the code with the event's, as it is in force.
    async fn check_code(
        self: &Arc<Self>,
        shared: &SharedKey<'_>,
        source: IpAddr,
    ) -> Result<(), ProxyError> {
        let id = shared.event_id;
        if !self.snapshot.load().events.contains_key(id) {
            return Err(self.wrong_key(source));
        }
        let is_right = || {
            let snapshot = self.snapshot.load();
            snapshot.events.get(id).is_some_and(|event| code_matches(event, shared.code))
        };
        self.compare_code(id, shared.name, source, is_right).await
    }

    /// Compares a code at once or, where its source has presented too many wrong ones, when its turn
    /// comes.
    async fn compare_code(
        self: &Arc<Self>,
        event_id: &str,
        name: &[u8],
        source: IpAddr,
        is_right: impl Fn() -> bool,
    ) -> Result<(), ProxyError> {
        let door = match self.guesses.compare(source, event_id, self.clock.now_ms(), &is_right) {
            Comparison::Right => return Ok(()),
            Comparison::Wrong => return Err(self.wrong_key(source)),
            Comparison::Wait(door) => door,
        };
        let has_turn = door.has_place() && {
            let (db, id, name) = (self.control.db.clone(), event_id.to_owned(), name.to_owned());
            let search = async move { attendee::has_joined(&db, &id, &name).await };
            let has_joined = self.control.ask(search).await?;
            door.turn(self.control.runtime(), has_joined).await
        };
        if has_turn && is_right() {
            return Ok(());
        }
        self.guesses.warn(event_id, self.clock.now_ms());
        if has_turn {
            door.was_wrong(self.clock.now_ms());
            return Err(self.wrong_key(source));
        }
        Err(ProxyError::TooManyAttempts { retry_after: guessing::RETRY_AFTER })
    }

    /// Compares a shared code that somebody typed, with the name they join under, with that of the
    /// event as its page was just read.
    ///
    /// # Errors
    /// [`ProxyError::InvalidKey`]: it is not the event's. [`ProxyError::TooManyAttempts`]: too many
    /// from this source were wrong.
    pub async fn check_typed_code(
        self: &Arc<Self>,
        event: &Event,
        code: &str,
        name: &[u8],
        source: IpAddr,
    ) -> Result<(), ProxyError> {
        self.compare_code(&event.id, name, source, || code_matches(event, code)).await
    }
}
