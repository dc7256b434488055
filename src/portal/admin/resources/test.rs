//! *Test connection*: asks the backend as the form describes it, saved or not.

use axum::extract::State;

use super::form::{Page, Typed, add_all};
use crate::catalog::resource::Resource;
use crate::health;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::SignedIn;
use crate::probe::Report;

/// Tools that are named; a backend may have thousands.
const NAMED: usize = 50;
/// How much of a backend's names is shown.
const SHOWN: usize = 64;

/// What the test found.
pub enum Outcome {
    Works(Works),
    /// The exact reason.
    Fails(String),
}

pub struct Works {
    pub server: String,
    pub version: String,
    pub protocol: String,
    pub connect_ms: u64,
    pub latency_ms: u64,
    pub tools: Vec<String>,
    /// Tools beyond those named.
    pub more: usize,
    pub gives_one_session: bool,
}

impl From<Report> for Works {
    fn from(report: Report) -> Self {
        let short = |text: &String| text.chars().take(SHOWN).collect::<String>();
        let tools: Vec<_> = report.tools.iter().take(NAMED).map(short).collect();
        Self {
            server: short(&report.server.name),
            version: short(&report.server.version),
            protocol: short(&report.protocol_version),
            connect_ms: report.connect_ms,
            latency_ms: report.latency_ms,
            gives_one_session: report.constant_session.is_some(),
            more: report.tools.len() - tools.len(),
            tools,
        }
    }
}

pub async fn test(State(site): State<Site>, me: SignedIn, Form(typed): Form<Typed>) -> Answer {
    let source = typed.source(&site, &me).await?;
    let outcome = match ask(&site, &me.owner.id, &typed, source.as_ref()).await? {
        Ok(outcome) => outcome,
        Err(problems) => {
            let page = Page::new(&me, &typed, source.as_ref(), problems);
            return page::unprocessable(&page.with_findings(&site).await?);
        }
    };
    let page = Page::new(&me, &typed, source.as_ref(), Problems::none());
    page::ok(&page.with_findings(&site).await?.with_outcome(outcome))
}

/// Only what a connection needs is looked at: a name may come later.
async fn ask(
    site: &Site,
    owner_id: &str,
    typed: &Typed,
    source: Option<&Resource>,
) -> Result<Result<Outcome, Problems>, PageError> {
    let (draft, mut problems) = typed.read(source);
    let call = draft.call(source);
    problems.keep(&["kind", "auth", "header", "key"]);
    let (endpoint, credential) = match call {
        Ok(call) if problems.is_empty() => call,
        Ok(_) => return Ok(Err(problems)),
        Err(error) => {
            add_all(&mut problems, vec![error])?;
            return Ok(Err(problems));
        }
    };
    if !draft.kind.is_probed() {
        return Ok(Err(Problems::one("kind", "cannot be tested yet: only MCP servers can")));
    }
    Ok(Ok(match site.health.ask(&site.config, owner_id, &endpoint, credential).await {
        Ok(report) => {
            // Of a copy, or another endpoint, the stored resource has nothing to note.
            let tested = source.filter(|stored| {
                draft.id.as_ref() == Some(&stored.id) && stored.endpoint == endpoint
            });
            if let (Some(stored), Some(id)) = (tested, &report.constant_session) {
                health::note_constant(&site.db, &stored.id, id).await;
            }
            Outcome::Works(report.into())
        }
        Err(failure) => Outcome::Fails(failure.to_string()),
    }))
}
