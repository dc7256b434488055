//! The one-click controls: each a POST, in force within two seconds, in the audit
//! trail, and told on the page that follows.

use axum::extract::{Path, State};
use serde::Deserialize;

use crate::catalog::event::{self, Event, Shut, control};
use crate::catalog::{self, Outcome, resource as catalog_resource};
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::Form;
use crate::portal::page::Answer;
use crate::portal::visitor::SignedIn;

/// By how much an event is extended.
const MINUTES: u32 = 30;

/// By how many percent everyone's cap may be raised.
pub const STEPS: [u32; 4] = [10, 25, 50, 100];

/// What a switch is to be: `on` or `off`.
#[derive(Deserialize)]
pub struct To {
    to: String,
}

impl To {
    fn on(&self) -> Result<bool, PageError> {
        match self.to.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(PageError::BadForm),
        }
    }
}

async fn own(site: &Site, me: &SignedIn, id: &str) -> Result<Event, PageError> {
    Ok(event::get(&site.db, &site.vault, &me.owner.id, id).await?)
}

/// Back to the room, which says what was done.
async fn said(site: &Site, me: &SignedIn, id: &str, text: String) -> Answer {
    me.done(site, &format!("/admin/events/{id}/room"), Flash::done(text)).await
}

/// What a write did, or why it did nothing, where somebody was quicker.
fn told<T>(done: catalog::Result<T>, tell: impl FnOnce(T) -> String) -> Result<String, PageError> {
    match done {
        Ok(done) => Ok(tell(done)),
        Err(catalog::Error::Conflict { reason }) => Ok(format!("Nothing was changed: {reason}.")),
        Err(other) => Err(other.into()),
    }
}

pub async fn activity(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(to): Form<To>,
) -> Answer {
    let (event, active) = (own(&site, &me, &id).await?, to.on()?);
    let name = &event.name;
    let outcome = control::set_active(&site.db, &me.actor(), &id, active).await?;
    let now = site.clock.now_ms();
    let is_in_window = (event.starts_at..=event.ends_at).contains(&now);
    let text = match (active, outcome) {
        (true, Outcome::Unchanged) => format!("{name} was not paused."),
        (false, Outcome::Unchanged) => format!("{name} was paused already."),
        (true, _) if is_in_window => format!("{name} goes on: keys work again."),
        (true, _) => format!("{name} is switched on; it is open in its window."),
        (false, _) => format!(
            "{name} is paused: within two seconds every key is refused (401 event_inactive) and open \
             streams end."
        ),
    };
    said(&site, &me, &id, text).await
}

#[derive(Deserialize)]
pub struct FromEnd {
    /// The end that the page showed, in UTC milliseconds.
    from: i64,
}

pub async fn end(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(typed): Form<FromEnd>,
) -> Answer {
    let event = own(&site, &me, &id).await?;
    let done = control::extend(&site.db, &me.actor(), &id, typed.from, MINUTES).await;
    let text = told(done, |extended| {
        let end = extended.end_local.replace('T', " ");
        format!("{} ends at {end} ({}) now.", event.name, event.time_zone)
    })?;
    said(&site, &me, &id, text).await
}

#[derive(Deserialize)]
pub struct FromCap {
    /// The cap that the page showed.
    from: u32,
    percent: u32,
}

pub async fn cap(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(typed): Form<FromCap>,
) -> Answer {
    let FromCap { from, percent } = typed;
    if !STEPS.contains(&percent) {
        return Err(PageError::BadForm);
    }
    let done = control::raise_cap(&site.db, &me.actor(), &id, from, percent).await;
    let text = told(done, |raised| {
        let along = match raised.attendees {
            0 => String::new(),
            1 => " One attendee's own cap went along.".to_owned(),
            n => format!(" {n} attendees' own caps went along."),
        };
        format!("Everyone has {} requests a day now; it was {from}.{along}", raised.cap)
    })?;
    said(&site, &me, &id, text).await
}

pub async fn registration(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(to): Form<To>,
) -> Answer {
    let open = to.on()?;
    let outcome = control::set_registration(&site.db, &me.actor(), &id, open).await?;
    let is_closed = own(&site, &me, &id).await?.shut() == Some(Shut::Closed);
    let text = match (open, outcome) {
        // On a page from before its settings were changed.
        (true, _) if is_closed => {
            "Registration stays closed: that is in the settings of the event. Change it there."
        }
        (true, Outcome::Unchanged) => "Registration was open already.",
        (false, Outcome::Unchanged) => "Registration was closed already.",
        (true, _) => "Registration is open again.",
        (false, _) => "Registration is closed: nobody new can join. Who has a key goes on.",
    };
    said(&site, &me, &id, text.to_owned()).await
}

pub async fn resource(
    State(site): State<Site>,
    me: SignedIn,
    Path((id, resource_id)): Path<(String, String)>,
    Form(to): Form<To>,
) -> Answer {
    let (event, active) = (own(&site, &me, &id).await?, to.on()?);
    let linked = event.resources.iter().find(|resource| resource.id == resource_id);
    let name = linked.ok_or(PageError::NotFound)?.deployment.clone();
    let outcome = catalog_resource::set_active(&site.db, &me.actor(), &resource_id, active).await?;
    let text = match (active, outcome) {
        (true, Outcome::Unchanged) => format!("{name} was on already."),
        (false, Outcome::Unchanged) => format!("{name} was off already."),
        (true, _) => format!("{name} is switched on."),
        (false, _) => format!(
            "{name} is switched off, in every event that uses it: calls are refused (404 \
             deployment_off)."
        ),
    };
    said(&site, &me, &id, text).await
}
