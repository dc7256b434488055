//! The form of a resource: what was typed, and what it means.

mod groups;

use askama::Template;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::PATH;
use super::test_result::TestResult;
use crate::catalog;
use crate::catalog::resource::{Auth, Draft, KeyChange, Resource, ResourceType};
use crate::catalog::session_mark::{self, Mark};
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::form::Problems;
use crate::portal::merge::{self, Conflict, Field, Merged};
use crate::portal::page::{Frame, Section};
use crate::portal::visitor::SignedIn;

/// The last characters of a key are shown where as many again would still have to
/// be guessed three times over.
const SHOWN: usize = 4;
const LONG_ENOUGH: usize = 4 * SHOWN;

/// The fields as they were typed.
#[derive(Clone, Deserialize)]
pub struct Typed {
    /// The resource that is edited; empty for a new one.
    #[serde(default)]
    pub id: String,
    /// The resource that a new one is a copy of, whose key it takes over.
    #[serde(default)]
    pub copy_of: String,
    /// What the form was shown with; see [`merge`](crate::portal::merge).
    #[serde(default)]
    pub base: String,
    /// Fields that are to stay as stored, of those that others changed meanwhile.
    #[serde(default)]
    pub keep: Vec<String>,
    pub name: String,
    pub deployment: String,
    pub kind: String,
    pub endpoint: String,
    pub auth: String,
    #[serde(default)]
    pub header: String,
    pub key: SecretString,
    pub remove_key: Option<String>,
    pub region: String,
    pub active: Option<String>,
}

impl Default for Typed {
    fn default() -> Self {
        Self {
            id: String::new(),
            copy_of: String::new(),
            base: String::new(),
            keep: Vec::new(),
            name: String::new(),
            deployment: String::new(),
            kind: ResourceType::default().as_str().to_owned(),
            endpoint: String::new(),
            auth: Auth::default().to_string(),
            header: String::new(),
            key: SecretString::default(),
            remove_key: None,
            region: String::new(),
            active: Some("on".to_owned()),
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
    /// A stored resource, to be edited.
    pub fn of(stored: &Draft) -> Self {
        let (auth, header) = match &stored.auth {
            Auth::Header(name) => ("header".to_owned(), name.to_string()),
            auth => (auth.to_string(), String::new()),
        };
        let mut typed = Self {
            id: stored.id.clone().unwrap_or_default(),
            name: stored.name.clone(),
            deployment: stored.deployment.clone(),
            kind: stored.kind.as_str().to_owned(),
            endpoint: stored.endpoint.clone(),
            auth,
            header,
            region: stored.region.clone(),
            active: stored.active.then(|| "on".to_owned()),
            ..Self::default()
        };
        typed.base = merge::base(Self::GROUPS, &typed);
        typed
    }

    /// The resource whose key is meant where none is typed. Another owner's is not there.
    pub async fn source(&self, site: &Site, me: &SignedIn) -> catalog::Result<Option<Resource>> {
        let id = if self.id.is_empty() { &self.copy_of } else { &self.id };
        if id.is_empty() {
            return Ok(None);
        }
        catalog::resource::get(&site.db, &site.vault, &me.owner.id, id).await.map(Some)
    }

    /// What was typed, as far as it can be read, and what is wrong with the rest.
    pub fn read(&self, source: Option<&Resource>) -> (Draft, Problems) {
        let mut problems = Problems::none();
        if self.name.trim().is_empty() {
            problems.add("name", "is required");
        }
        let kind = self.kind.parse().unwrap_or_else(|reason: String| {
            problems.add("kind", reason);
            ResourceType::default()
        });
        if !is_offered(kind, source) {
            problems.add("kind", "cannot be chosen yet: only MCP servers can be called so far");
        }
        let auth = match self.auth.as_str() {
            "header" if self.header.trim().is_empty() => Err("is required".to_owned()),
            "header" => format!("header:{}", self.header).parse(),
            auth => auth.parse::<Auth>(),
        };
        let auth = auth.unwrap_or_else(|reason| {
            problems.add(if self.auth == "header" { "header" } else { "auth" }, reason);
            Auth::default()
        });
        let is_typed = !self.key.expose_secret().is_empty();
        let key = match (is_typed, self.remove_key.is_some()) {
            (true, false) => KeyChange::Set(self.key.clone()),
            (false, true) => KeyChange::Remove,
            (false, false) => KeyChange::Keep,
            (true, true) => {
                problems.add("key", "is both typed and to be removed: do one of the two");
                KeyChange::Remove
            }
        };
        let draft = Draft {
            id: (!self.id.is_empty()).then(|| self.id.clone()),
            deployment: self.deployment.clone(),
            name: self.name.clone(),
            kind,
            endpoint: self.endpoint.clone(),
            auth,
            key,
            region: self.region.clone(),
            active: self.active.is_some(),
        };
        (draft, problems)
    }
}

/// Whether the type can be chosen: attendees must be able to call it. What was made
/// elsewhere keeps its type.
fn is_offered(kind: ResourceType, source: Option<&Resource>) -> bool {
    kind.is_served() || source.is_some_and(|source| source.kind == kind)
}

/// A choice of a select.
struct Choice {
    value: &'static str,
    label: String,
    is_chosen: bool,
    is_offered: bool,
}

#[derive(Template)]
#[template(path = "admin/resources/edit.html")]
pub struct ResourcePage<'a> {
    frame: Frame,
    title: String,
    action: String,
    typed: &'a Typed,
    kinds: Vec<Choice>,
    auths: Vec<Choice>,
    has_key: bool,
    /// What is said of a key that is stored or was typed.
    key_hint: String,
    problems: Problems,
    conflicts: Vec<Conflict>,
    test_result: Option<TestResult>,
    /// Names of request headers that did not pass, and how often.
    dropped: Vec<(String, u64)>,
    /// What the proxy has found out about its sessions.
    mark: Mark,
}

impl<'a> ResourcePage<'a> {
    pub fn new(
        me: &SignedIn,
        typed: &'a Typed,
        source: Option<&Resource>,
        problems: Problems,
    ) -> Self {
        let title = match source {
            Some(stored) if !typed.id.is_empty() => stored.name.clone(),
            Some(copied) => format!("Copy of {}", copied.name),
            None => "New resource".to_owned(),
        };
        let last = if typed.id.is_empty() { "new" } else { &typed.id };
        Self {
            frame: me.frame(Section::Resources),
            title,
            action: format!("{PATH}/{last}"),
            typed,
            kinds: kinds(&typed.kind, source),
            auths: auths(&typed.auth),
            has_key: source.is_some_and(|source| source.key.is_some()),
            key_hint: source.map(|source| stored_key(source, typed)).unwrap_or_default(),
            problems: retype_key(typed, problems),
            conflicts: Vec::new(),
            test_result: None,
            dropped: Vec::new(),
            mark: Mark::default(),
        }
    }

    pub fn with_conflicts(self, conflicts: Vec<Conflict>) -> Self {
        Self { conflicts, ..self }
    }

    /// With what the proxy has found out about the stored resource, if one is edited.
    pub async fn with_findings(self, site: &Site) -> catalog::Result<Self> {
        let id = &self.typed.id;
        if id.is_empty() {
            return Ok(self);
        }
        let mark = session_mark::of(&site.db, id).await?;
        Ok(Self { dropped: site.plane.dropped.of(id), mark, ..self })
    }

    /// After a test nothing is wrong with the form, even if the key is missing from it.
    pub fn with_test_result(self, result: TestResult) -> Self {
        let key_hint = match self.problems.of("key") {
            "" => self.key_hint,
            _ => "Type it again before you save, because pages never hold a key.".to_owned(),
        };
        Self { test_result: Some(result), problems: Problems::none(), key_hint, ..self }
    }
}

/// A typed key is not sent back, so it is missing from a form that is shown again.
fn retype_key(typed: &Typed, mut problems: Problems) -> Problems {
    if !typed.key.expose_secret().is_empty() {
        problems.add("key", "must be typed again, because pages never hold one");
    }
    problems
}

fn stored_key(source: &Resource, typed: &Typed) -> String {
    let Some(key) = &source.key else { return String::new() };
    let key = key.expose_secret();
    let ending = key.get(key.len().saturating_sub(SHOWN)..).filter(|_| key.len() >= LONG_ENOUGH);
    let stored = match ending {
        Some(ending) => format!("Stored, ends in …{ending}."),
        None => "Stored.".to_owned(),
    };
    let kept = if typed.id.is_empty() { "to take it over" } else { "to keep it" };
    format!("{stored} Leave empty {kept}.")
}

fn kinds(chosen: &str, source: Option<&Resource>) -> Vec<Choice> {
    let choice = |kind: ResourceType| {
        let is_offered = is_offered(kind, source);
        let why = if is_offered { "" } else { " — cannot be called yet" };
        Choice {
            value: kind.as_str(),
            label: format!("{}{why}", kind.label()),
            is_chosen: kind.as_str() == chosen,
            is_offered,
        }
    };
    ResourceType::ALL.map(choice).into()
}

fn auths(chosen: &str) -> Vec<Choice> {
    let all = [
        ("api-key", "api-key header"),
        ("bearer", "Bearer token (Authorization header)"),
        ("header", "Another header, named below"),
        ("none", "None: the key is not sent"),
    ];
    let choice = |(value, label): (&'static str, &str)| Choice {
        value,
        label: label.to_owned(),
        is_chosen: value == chosen,
        is_offered: true,
    };
    all.map(choice).into()
}

/// What the catalog found wrong with fields. Any other error is passed on.
pub fn add_all(problems: &mut Problems, errors: Vec<catalog::Error>) -> Result<(), PageError> {
    for error in errors {
        match error {
            catalog::Error::Invalid { field, reason } => problems.add(field, reason),
            other => return Err(other.into()),
        }
    }
    Ok(())
}
