//! *Test connection*: asks the backend as the form describes it, saved or not.

use axum::extract::State;

use super::form::{ResourcePage, Typed, add_all};
use super::test_result::TestResult;
use crate::catalog::resource::Resource;
use crate::health;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::SignedIn;

pub async fn test(State(site): State<Site>, me: SignedIn, Form(typed): Form<Typed>) -> Answer {
    let source = typed.source(&site, &me).await?;
    let result = match ask(&site, &me.owner.id, &typed, source.as_ref()).await? {
        Ok(result) => result,
        Err(problems) => {
            let page = ResourcePage::new(&me, &typed, source.as_ref(), problems);
            return page::unprocessable(&page.with_findings(&site).await?);
        }
    };
    let page = ResourcePage::new(&me, &typed, source.as_ref(), Problems::none());
    page::ok(&page.with_findings(&site).await?.with_test_result(result))
}

/// Only what a connection needs is looked at: a name may come later.
async fn ask(
    site: &Site,
    owner_id: &str,
    typed: &Typed,
    source: Option<&Resource>,
) -> Result<Result<TestResult, Problems>, PageError> {
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
            TestResult::Works(report.into())
        }
        Err(failure) => TestResult::Fails(failure.to_string()),
    }))
}
