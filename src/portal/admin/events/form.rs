//! The form of an event: what was typed, and what it means.

mod groups;
mod page;
mod resources;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use page::EventPage;
use resources::Numbered;

use crate::catalog::event::{Changes, Draft, Event, Registration};
use crate::catalog::{self, event, limits};
use crate::portal::Site;
use crate::portal::form::Problems;
use crate::portal::merge::{self, Field, Merged};
use crate::portal::visitor::SignedIn;

/// The fields as they were typed.
#[derive(Clone, Deserialize)]
pub struct Typed {
    /// The event that is edited; empty for a new one.
    #[serde(default)]
    pub id: String,
    /// The event that a new one is a copy of.
    #[serde(default)]
    pub copy_of: String,
    /// What the form was shown with; see [`merge`](crate::portal::merge).
    #[serde(default)]
    pub base: String,
    /// Fields that are to stay as stored, of those that others changed meanwhile.
    #[serde(default)]
    pub keep: Vec<String>,
    pub name: String,
    pub description: String,
    pub organizer_name: String,
    pub organizer_email: String,
    pub start: String,
    pub end: String,
    pub time_zone: String,
    /// The ids of all resources of the list, in its order.
    #[serde(default)]
    pub listed: Vec<String>,
    /// The number beside each of them, or nothing.
    #[serde(default)]
    pub position: Vec<String>,
    /// The ids that are ticked.
    #[serde(default)]
    pub resources: Vec<String>,
    pub max_token_cap: String,
    pub daily_request_cap: String,
    pub requests_per_minute: String,
    pub shared_code: SecretString,
    pub shared_code_limit: String,
    /// The ways to join that are ticked.
    #[serde(default)]
    pub registration: Vec<String>,
    pub cards_work_once: Option<String>,
    #[serde(default)]
    pub terms: String,
    #[serde(default)]
    pub forget_after_days: String,
    pub active: Option<String>,
}

impl From<&Draft> for Typed {
    fn from(draft: &Draft) -> Self {
        Self {
            id: draft.id.clone().unwrap_or_default(),
            copy_of: String::new(),
            base: String::new(),
            keep: Vec::new(),
            name: draft.name.clone(),
            description: draft.description.clone(),
            organizer_name: draft.organizer_name.clone(),
            organizer_email: draft.organizer_email.clone(),
            start: draft.start.clone(),
            end: draft.end.clone(),
            time_zone: draft.time_zone.clone(),
            listed: draft.resources.clone(),
            position: (1..=draft.resources.len()).map(|at| at.to_string()).collect(),
            resources: draft.resources.clone(),
            max_token_cap: draft.max_token_cap.to_string(),
            daily_request_cap: draft.daily_request_cap.to_string(),
            requests_per_minute: draft.requests_per_minute.to_string(),
            shared_code: draft.shared_code.clone().unwrap_or_default(),
            shared_code_limit: draft.shared_code_limit.to_string(),
            registration: draft.registration.split(',').map(str::to_owned).collect(),
            cards_work_once: draft.cards_work_once.then(|| "on".to_owned()),
            terms: draft.terms.clone(),
            forget_after_days: draft
                .forget_after_days
                .map_or(String::new(), |days| days.to_string()),
            active: draft.active.then(|| "on".to_owned()),
        }
    }
}

impl Merged for Typed {
    const GROUPS: &'static [&'static [Field<Self>]] = groups::GROUPS;

    fn base(&mut self) -> &mut String {
        &mut self.base
    }

    fn keep(&mut self) -> &mut Vec<String> {
        &mut self.keep
    }
}

impl Typed {
    /// A stored event, to be edited.
    pub fn of(stored: &Draft) -> Self {
        let mut typed = Self::from(stored);
        typed.base = merge::base(Self::GROUPS, &typed);
        typed
    }

    /// The event that is edited or copied. Another owner's is not there.
    pub async fn source(&self, site: &Site, me: &SignedIn) -> catalog::Result<Option<Event>> {
        let id = if self.id.is_empty() { &self.copy_of } else { &self.id };
        if id.is_empty() {
            return Ok(None);
        }
        event::get(&site.db, &site.vault, &me.owner.id, id).await.map(Some)
    }

    /// The ticked ways as the word of the draft.
    fn registration(&self) -> String {
        match self.registration.is_empty() {
            true => Registration::CLOSED.as_str().to_owned(),
            false => self.registration.join(","),
        }
    }

    fn numbered(&self) -> Numbered<'_> {
        Numbered { listed: &self.listed, position: &self.position, ticked: &self.resources }
    }

    /// What was typed, as far as it can be read, and what is wrong with it by itself.
    pub fn read(&self, over: Draft) -> (Draft, Problems) {
        let mut problems = Problems::none();
        let mut number = |field, text: &str| {
            let number = text.trim().parse().ok();
            if number.is_none() {
                problems.add(field, limits::cap_rule());
            }
            number
        };
        let days = match self.forget_after_days.trim() {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        let typed = Changes {
            name: Some(self.name.clone()),
            // Browsers end lines in their own way.
            description: Some(self.description.replace("\r\n", "\n")),
            organizer_name: Some(self.organizer_name.clone()),
            organizer_email: Some(self.organizer_email.clone()),
            start: Some(self.start.clone()),
            end: Some(self.end.clone()),
            time_zone: Some(self.time_zone.clone()),
            resources: Some(self.numbered().in_order().unwrap_or_default()),
            max_token_cap: number("max_token_cap", &self.max_token_cap),
            daily_request_cap: number("daily_request_cap", &self.daily_request_cap),
            requests_per_minute: number("requests_per_minute", &self.requests_per_minute),
            shared_code: Some(Some(self.shared_code.expose_secret().trim().into())),
            shared_code_limit: number("shared_code_limit", &self.shared_code_limit),
            registration: Some(self.registration()),
            cards_work_once: Some(self.cards_work_once.is_some()),
            terms: Some(self.terms.replace("\r\n", "\n")),
            forget_after_days: days,
            active: Some(self.active.is_some()),
            // Not in the form: what is stored, or what a new one has.
            ..Changes::default()
        };
        if days.is_none() {
            problems.add("forget_after_days", event::days_rule());
        }
        let id = (!self.id.is_empty()).then(|| self.id.clone());
        let draft = typed.over(Draft { id, ..over });
        if let Err(reason) = self.numbered().in_order() {
            problems.add("resources", reason);
        }
        for error in draft.problems() {
            if let catalog::Error::Invalid { field, reason } = error {
                problems.add(field, reason);
            }
        }
        (draft, problems)
    }
}
