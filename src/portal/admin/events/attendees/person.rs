//! One attendee: how they fare, their key, their cap, whether they may call.

use askama::Template;
use axum::extract::{Path, State};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{path, tabs};
use crate::catalog::attendee::{self, listing};
use crate::catalog::event::{self, Event};
use crate::catalog::limits::{self, CAP};
use crate::clock;
use crate::portal::Site;
use crate::portal::admin::events::Tabs;
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::flash::Flash;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/events/attendees/person.html")]
struct Person {
    frame: Frame,
    tabs: Tabs,
    list: String,
    event: Event,
    who: listing::ListedAttendee,
    /// Their own cap as it was typed.
    cap: String,
    problems: Problems,
}

impl Person {
    fn moment(&self, ms: &i64) -> String {
        clock::wall_clock(*ms, &self.event.time_zone).replace('T', " ")
    }
}

#[derive(Template)]
#[template(path = "admin/events/attendees/delete.html")]
struct Delete {
    frame: Frame,
    list: String,
    who: listing::ListedAttendee,
}

#[derive(Template)]
#[template(path = "admin/events/attendees/new_key.html")]
struct NewKey {
    frame: Frame,
    list: String,
    who: listing::ListedAttendee,
}

/// An event's attendee, by both ids.
type Ids = Path<(String, String)>;

pub(super) async fn own(
    site: &Site,
    me: &SignedIn,
    (event, id): (&str, &str),
) -> Result<listing::ListedAttendee, PageError> {
    let today = clock::day_of(site.clock.now_ms());
    Ok(listing::one(&site.db, &me.owner.id, event, today, id).await?)
}

async fn person(site: &Site, me: &SignedIn, event: &str, id: &str) -> Result<Person, PageError> {
    let who = own(site, me, (event, id)).await?;
    let event = event::get(&site.db, &site.vault, &me.owner.id, event).await?;
    Ok(Person {
        frame: me.frame(Section::Events),
        tabs: tabs(site, &event),
        list: path(&event.id),
        cap: who.attendee.daily_request_cap.map_or(String::new(), |cap| cap.to_string()),
        who,
        event,
        problems: Problems::none(),
    })
}

/// Back to the attendee, which says what was done.
async fn said(site: &Site, me: &SignedIn, event: &str, id: &str, flash: Flash) -> Answer {
    me.done(site, &format!("{}/{id}", path(event)), flash).await
}

pub async fn show(State(site): State<Site>, me: SignedIn, Path((event, id)): Ids) -> Answer {
    page::ok(&person(&site, &me, &event, &id).await?)
}

/// What a switch is to be: `on` or `off`.
#[derive(Deserialize)]
pub struct To {
    to: String,
}

pub async fn activity(
    State(site): State<Site>,
    me: SignedIn,
    Path((event, id)): Ids,
    Form(typed): Form<To>,
) -> Answer {
    let who = own(&site, &me, (&event, &id)).await?;
    let active = match typed.to.as_str() {
        "on" => true,
        "off" => false,
        _ => return Err(PageError::BadForm),
    };
    attendee::set_active(&site.db, &me.actor(), &id, active).await?;
    let text = if active {
        format!("{} is active again: their key works within two seconds.", who.name())
    } else {
        format!("{} is deactivated: within two seconds their key is refused (401).", who.name())
    };
    said(&site, &me, &event, &id, Flash::done(text)).await
}

pub async fn ask_new_key(State(site): State<Site>, me: SignedIn, Path((event, id)): Ids) -> Answer {
    let who = own(&site, &me, (&event, &id)).await?;
    page::ok(&NewKey { frame: me.frame(Section::Events), list: path(&event), who })
}

#[derive(Deserialize)]
pub struct AnotherKey {}

impl Guarded for AnotherKey {
    const DOES: &'static str = "make a new key for that attendee and show it; the old one stops";
    const SECTION: Section = Section::Events;
}

pub async fn new_key(
    State(site): State<Site>,
    Path((event, id)): Ids,
    Confirmed { me, .. }: Confirmed<AnotherKey>,
) -> Answer {
    let who = own(&site, &me, (&event, &id)).await?;
    let key = attendee::new_key(&site.db, &site.vault, &me.actor(), &id).await?;
    let text = format!(
        "{} has a new key, and the old one stopped. Hand it over now; it is shown only once.",
        who.name()
    );
    said(&site, &me, &event, &id, Flash::done(text).with_secret(key.expose_secret())).await
}

#[derive(Deserialize)]
pub struct Cap {
    cap: String,
}

pub async fn cap(
    State(site): State<Site>,
    me: SignedIn,
    Path((event, id)): Ids,
    Form(typed): Form<Cap>,
) -> Answer {
    let who = own(&site, &me, (&event, &id)).await?;
    let cap = match typed.cap.trim() {
        "" => None,
        text => Some(text.parse().ok().filter(|cap| CAP.contains(cap))),
    };
    if cap == Some(None) {
        let problems = Problems::one("cap", limits::cap_rule());
        let page = person(&site, &me, &event, &id).await?;
        return page::unprocessable(&Person { cap: typed.cap, problems, ..page });
    }
    let cap: Option<u32> = cap.flatten();
    attendee::set_cap(&site.db, &me.actor(), &id, cap).await?;
    let text = match cap {
        Some(cap) => format!("{} has {cap} requests a day of their own now.", who.name()),
        None => format!("{} has the event's daily request cap.", who.name()),
    };
    said(&site, &me, &event, &id, Flash::done(text)).await
}

pub async fn ask_delete(State(site): State<Site>, me: SignedIn, Path((event, id)): Ids) -> Answer {
    let who = own(&site, &me, (&event, &id)).await?;
    page::ok(&Delete { frame: me.frame(Section::Events), list: path(&event), who })
}

pub async fn delete(State(site): State<Site>, me: SignedIn, Path((event, id)): Ids) -> Answer {
    let who = own(&site, &me, (&event, &id)).await?;
    let today = site.clock.today(site.clock.now_ms());
    attendee::delete(&site.db, &me.actor(), &id, today).await?;
    let text = if who.attendee.has_joined_by_code() {
        format!(
            "{} was deleted, and calls under this name are refused. You can let them in again \
             under Deleted.",
            who.name()
        )
    } else if who.attendee.has_joined_by_themselves() {
        format!(
            "{} was deleted, and their account cannot join again. You can let them in again under \
             Deleted.",
            who.name()
        )
    } else {
        format!("{} is deleted, and their key stopped. Their figures stay.", who.name())
    };
    me.done(&site, &path(&event), Flash::done(text)).await
}
