//! The attendees who are signed in to their events in a browser, and which of them a client's request is
//! put to.

use std::sync::Arc;

use super::Asked;
use crate::catalog::attendee::session::{AttendeeSession, Way};
use crate::catalog::event::Event;
use crate::catalog::resource::{Resource, ResourceType};
use crate::clock::MINUTE_MS;
use crate::oauth::audience::Audience;
use crate::portal::Site;
use crate::portal::attendee::{session_at, visible_event};
use crate::portal::error::PageError;
use crate::portal::visitor::Visitor;

/// How long somebody who only typed a name can allow clients.
const NAMED_MS: i64 = 10 * MINUTE_MS;

/// An attendee who is signed in here.
pub struct Person {
    pub event: Event,
    pub session: AttendeeSession,
}

impl Person {
    pub fn name(&self) -> &str {
        match &*self.session.attendee.display_name {
            "" => &self.session.attendee.user_id,
            name => name,
        }
    }

    /// The deployment names of the event's MCP servers.
    pub fn servers(&self) -> Vec<&str> {
        let of_type = |resource: &&Arc<Resource>| is_server(resource);
        self.event.resources.iter().filter(of_type).map(|server| &*server.deployment).collect()
    }

    /// Whether the event has what is asked for.
    pub fn has(&self, audience: &Audience) -> bool {
        audience.deployment().is_none_or(|name| self.servers().contains(&name))
    }
}

fn is_server(resource: &Resource) -> bool {
    resource.kind == ResourceType::McpServer && resource.active
}

/// Everybody who is signed in here, and the events whose sign-in has ended with them.
pub async fn signed_in(
    site: &Site,
    visitor: &Visitor,
) -> Result<(Vec<Person>, Vec<String>), PageError> {
    let (mut people, mut ended, now) = (Vec::new(), Vec::new(), site.clock.now_ms());
    for event_id in visitor.attendee_events() {
        let session = session_at(site, visitor, &event_id).await?;
        if session.as_ref().is_some_and(|session| is_stale(session, now)) {
            continue;
        }
        match (visible_event(site, visitor, &event_id).await?, session) {
            (Some(event), Some(session)) => people.push(Person { event, session }),
            (Some(event), None) => ended.push(event.name),
            (None, _) => {}
        }
    }
    Ok((people, ended))
}

/// Whether somebody who only typed a name has to type the shared code again: it may have changed since,
/// which is how an organiser keeps such people out.
pub fn is_stale(session: &AttendeeSession, now_ms: i64) -> bool {
    session.way == Way::Named && session.created_at < now_ms - NAMED_MS
}

/// The one who is asked: who was chosen, or the only one whose event has the server, or the only one.
pub fn choose<'p>(asked: &Asked, people: &'p [Person]) -> Option<&'p Person> {
    if let Some(id) = &asked.as_event
        && let Some(chosen) = people.iter().find(|person| person.event.id == *id)
    {
        return Some(chosen);
    }
    let mut fitting = people.iter().filter(|person| person.has(&asked.request.audience));
    match (people, fitting.next(), fitting.next()) {
        ([only], _, _) => Some(only),
        (_, Some(only), None) => Some(only),
        _ => None,
    }
}
