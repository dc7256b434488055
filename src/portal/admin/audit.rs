//! Who changed what, and when: an owner's own part of it, an administrator all. Who signed in has a
//! page of its own, [`sign_ins`], so that changes are not lost among them.

pub mod sign_ins;

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use crate::catalog::audit::{self, Entry};
use crate::clock::rfc3339;
use crate::portal::Site;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

const ROWS: u32 = 50;

/// The pages of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Changes,
    SignIns,
}

impl Tab {
    pub const ALL: &[Tab] = &[Tab::Changes, Tab::SignIns];

    pub fn name(self) -> &'static str {
        match self {
            Tab::Changes => "Changes",
            Tab::SignIns => "Sign-ins",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Tab::Changes => "/admin/audit",
            Tab::SignIns => "/admin/audit/sign-ins",
        }
    }
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct Audit {
    frame: Frame,
    tab: Tab,
    entries: Vec<Entry>,
    is_first: bool,
    /// Where the next page begins, if there is one.
    older: Option<String>,
}

#[derive(Deserialize)]
pub struct Asked {
    before: Option<String>,
}

pub async fn show(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    let whose = (!me.is_administrator()).then_some(me.owner.id.as_str());
    // One more than fits tells whether there is another page.
    let mut entries = audit::list(&site.db, whose, asked.before.as_deref(), ROWS + 1).await?;
    let older = entries.get(ROWS as usize - 1).map(|last| last.id.clone());
    let older = older.filter(|_| entries.len() > ROWS as usize);
    entries.truncate(ROWS as usize);
    let is_first = asked.before.is_none();
    let (frame, tab) = (me.frame(Section::Audit), Tab::Changes);
    page::ok(&Audit { frame, tab, entries, is_first, older })
}

/// To the second, in UTC: what is compared with logs.
pub fn moment(ms: i64) -> String {
    let at = rfc3339(ms - ms.rem_euclid(1000));
    at.replace('T', " ").replace('Z', "")
}
