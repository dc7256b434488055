//! Who signed in, who tried, and from where: an owner sees their own account, an administrator all.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::{ROWS, Tab, moment};
use crate::catalog::owner::manage;
use crate::catalog::owner::sign_in::{self, KEPT_DAYS, SignIn, Times, Whose};
use crate::portal::Site;
use crate::portal::filters;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

/// What the filter has for names that are no owner's: no id looks like this.
const NOBODY: &str = "nobody";

#[derive(Template)]
#[template(path = "admin/sign_ins.html")]
struct SignIns {
    frame: Frame,
    tab: Tab,
    asked: Asked,
    /// Id and name of each owner, where there is a choice.
    owners: Vec<(String, String)>,
    sign_ins: Vec<SignIn>,
    /// Where the next page begins, if there is one.
    older: Option<String>,
}

#[derive(Default, Deserialize)]
pub struct Asked {
    /// An owner's id, or [`NOBODY`].
    #[serde(default)]
    who: String,
    #[serde(default)]
    only: Only,
    before: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Only {
    Worked,
    Failed,
    #[default]
    #[serde(other)]
    All,
}

impl Only {
    const CHOICES: [(Only, &str); 3] =
        [(Only::All, "Worked or failed"), (Only::Worked, "Worked"), (Only::Failed, "Failed")];

    fn as_str(self) -> &'static str {
        match self {
            Only::All => "all",
            Only::Worked => "worked",
            Only::Failed => "failed",
        }
    }

    fn succeeded(self) -> Option<bool> {
        (self != Only::All).then_some(self == Only::Worked)
    }
}

impl Asked {
    fn is_first(&self) -> bool {
        self.before.is_none()
    }

    fn is_filtered(&self) -> bool {
        !self.who.is_empty() || self.only != Only::All
    }

    /// The address of the page that begins there, with the same filter.
    fn page(&self, before: Option<&String>) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("who", &self.who).append_pair("only", self.only.as_str());
        if let Some(before) = before {
            query.append_pair("before", before);
        }
        format!("/admin/audit/sign-ins?{}", query.finish())
    }
}

pub async fn show(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    site.identity.write_failures_in_time().await;
    let whose = match asked.who.as_str() {
        _ if !me.is_administrator() => Whose::Owner(&me.owner.id),
        "" => Whose::Everybody,
        NOBODY => Whose::Nobody,
        id => Whose::Owner(id),
    };
    let (succeeded, before) = (asked.only.succeeded(), asked.before.as_deref());
    // One more than fits tells whether there is another page.
    let mut sign_ins = sign_in::list(&site.db, whose, succeeded, before, ROWS + 1).await?;
    let older = sign_ins.get(ROWS as usize - 1).map(|last| last.id.clone());
    let older = older.filter(|_| sign_ins.len() > ROWS as usize);
    sign_ins.truncate(ROWS as usize);
    let mut owners = Vec::new();
    if me.is_administrator() {
        let all = manage::list(&site.db).await?.into_iter().map(|listed| listed.owner);
        owners.extend(all.map(|owner| (owner.id, owner.name)));
    }
    let (frame, tab) = (me.frame(Section::Audit), Tab::SignIns);
    page::ok(&SignIns { frame, tab, asked, owners, sign_ins, older })
}

/// Whether the first and the last of them are to be told apart.
fn lasted(times: Times) -> bool {
    moment(times.first_at) != moment(times.last_at)
}
