//! The form of an event as a page.

use std::sync::LazyLock;

use askama::Template;
use secrecy::ExposeSecret;

use super::super::{PATH, Tab, Tabs};
use super::Typed;
use super::resources::Row;
use crate::catalog::event::{self, Draft, Event, MAX_MARKDOWN, Registration};
use crate::catalog::resource;
use crate::clock::rfc3339;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::Problems;
use crate::portal::markdown;
use crate::portal::merge::Conflict;
use crate::portal::page::{Frame, Section};
use crate::portal::terms;
use crate::portal::visitor::SignedIn;

/// All names of zones, sorted.
static ZONES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut zones: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    zones.sort_unstable();
    zones
});

/// A way to join, to be ticked.
struct Choice {
    value: &'static str,
    label: &'static str,
    hint: &'static str,
    is_chosen: bool,
    is_offered: bool,
}

#[derive(Template)]
#[template(path = "admin/events/edit.html")]
pub struct EventPage<'a> {
    frame: Frame,
    title: String,
    action: String,
    /// Above the form of an event that is there.
    tabs: Option<Tabs>,
    typed: &'a Typed,
    shared_code: &'a str,
    code_hint: String,
    /// The event that this is a copy of.
    copied: Option<&'a Event>,
    resources: Vec<Row>,
    registrations: Vec<Choice>,
    zones: &'a [String],
    /// When the event would open and close, if that can be told.
    window: Option<Opening>,
    /// The description as attendees would see it.
    preview: String,
    /// The terms of use as attendees would see them.
    terms: String,
    problems: Problems,
    conflicts: Vec<Conflict>,
}

struct Opening {
    /// RFC 3339, UTC.
    opens: String,
    closes: String,
    notes: Vec<String>,
}

impl<'a> EventPage<'a> {
    pub async fn new(
        site: &Site,
        me: &SignedIn,
        typed: &'a Typed,
        source: Option<&'a Event>,
        problems: Problems,
    ) -> Result<Self, PageError> {
        let stored = source.filter(|_| !typed.id.is_empty());
        let copied = source.filter(|_| typed.id.is_empty());
        let title = match (stored, copied) {
            (Some(stored), _) => stored.name.clone(),
            (_, Some(copied)) => format!("Copy of {}", copied.name),
            _ => "New event".to_owned(),
        };
        let last = if typed.id.is_empty() { "new" } else { &typed.id };
        let all = resource::all(&site.db, &site.vault, &me.owner.id).await?;
        let draft = typed.read(source.map(Draft::from).unwrap_or_default()).0;
        let window = draft.window().ok();
        // Longer ones are refused anyway.
        let shown: String = typed.description.chars().take(MAX_MARKDOWN).collect();
        Ok(Self {
            frame: me.frame(Section::Events),
            title,
            action: format!("{PATH}/{last}"),
            tabs: stored.map(|event| Tabs::of(event, Tab::Event, site.clock.now_ms())),
            typed,
            shared_code: typed.shared_code.expose_secret(),
            code_hint: code_hint()?,
            copied,
            resources: typed.numbered().rows(all),
            registrations: registrations(typed, site.identity.has_github()),
            zones: &ZONES,
            window: window.map(|window| Opening {
                opens: rfc3339(window.starts_at),
                closes: rfc3339(window.ends_at),
                notes: window.notes(),
            }),
            preview: markdown::to_html(&shown),
            terms: terms::preview(&draft),
            problems,
            conflicts: Vec::new(),
        })
    }

    /// With what both sides changed, resources by their names.
    pub fn with_conflicts(self, mut conflicts: Vec<Conflict>) -> Self {
        let names = |ids: &str| {
            let name = |id: &str| self.resources.iter().find(|row| row.id == id);
            let names: Vec<&str> =
                ids.lines().map(|id| name(id).map_or(id, |row| row.name.as_str())).collect();
            names.join(", ")
        };
        for one in conflicts.iter_mut().filter(|one| one.field == "resources") {
            (one.typed, one.stored) = (names(&one.typed), names(&one.stored));
        }
        Self { conflicts, ..self }
    }
}

fn code_hint() -> Result<String, PageError> {
    let proposed = event::propose_code()?;
    Ok(format!(
        "Empty for none, or 8 to 64 letters and digits that you tell the room, for example \
         {proposed}. Capitals make no difference."
    ))
}

/// A way that the event has stays ticked, and can be unticked, whether the proxy offers it or not.
fn registrations(typed: &Typed, has_github: bool) -> Vec<Choice> {
    let choice = |ways: Registration, label, hint, is_offered| {
        let value = ways.as_str();
        let is_chosen = typed.registration.iter().any(|chosen| chosen == value);
        Choice { value, label, hint, is_chosen, is_offered: is_offered || is_chosen }
    };
    let github = match has_github {
        true => "People sign in with their GitHub account.",
        false => "Not set up on this proxy: the operator sets --github-client-id (docs/github.md).",
    };
    vec![
        choice(Registration::SHARED_CODE, "With the shared code", "Where one is set.", true),
        choice(Registration::GITHUB, "With GitHub", github, has_github),
    ]
}
