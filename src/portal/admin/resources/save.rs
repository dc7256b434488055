//! Making, copying and changing a resource.

use axum::extract::{Path, State};
use http::StatusCode;

use super::PATH;
use super::form::{ResourcePage, Typed, add_all};
use crate::catalog::limits::NAME;
use crate::catalog::resource::{self, Draft, KeyChange, Resource};
use crate::catalog::{Error, Outcome};
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::{Form, Problems};
use crate::portal::merge::{self, Refused};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::SignedIn;

pub async fn blank(me: SignedIn) -> Answer {
    page::ok(&ResourcePage::new(&me, &Typed::default(), None, Problems::none()))
}

pub async fn edit(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let stored = resource::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let typed = Typed::of(&Draft::from(&stored));
    let page = ResourcePage::new(&me, &typed, Some(&stored), Problems::none());
    page::ok(&page.with_findings(&site).await?)
}

/// A new resource that begins as a copy; its names are to be told apart.
pub async fn duplicate(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let copied = resource::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let typed = Typed {
        id: String::new(),
        copy_of: id,
        name: cut(&copied.name, " (copy)"),
        deployment: cut(&copied.deployment, "-copy"),
        base: String::new(),
        ..Typed::of(&Draft::from(&copied))
    };
    page::ok(&ResourcePage::new(&me, &typed, Some(&copied), Problems::none()))
}

/// `text` with an ending, together no longer than a name may be.
fn cut(text: &str, ending: &str) -> String {
    let kept: String = text.chars().take(NAME - ending.len()).collect();
    kept + ending
}

pub async fn create(State(site): State<Site>, me: SignedIn, Form(typed): Form<Typed>) -> Answer {
    save(&site, &me, Typed { id: String::new(), ..typed }).await
}

pub async fn update(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(typed): Form<Typed>,
) -> Answer {
    save(&site, &me, Typed { id, ..typed }).await
}

async fn save(site: &Site, me: &SignedIn, typed: Typed) -> Answer {
    let source = typed.source(site, me).await?;
    match try_save(site, me, &typed, source.as_ref()).await? {
        Ok(text) => me.done(site, PATH, Flash::done(text)).await,
        Err(Refused::Catalog(error)) => Err(error.into()),
        Err(Refused::Both(typed, conflicts)) => {
            let problems = merge::problems(&conflicts);
            let page = ResourcePage::new(me, &typed, source.as_ref(), problems);
            let page = page.with_findings(site).await?.with_conflicts(conflicts);
            page::with_status(StatusCode::CONFLICT, &page)
        }
        Err(Refused::Problems(problems)) => {
            let page = ResourcePage::new(me, &typed, source.as_ref(), problems);
            page::unprocessable(&page.with_findings(site).await?)
        }
    }
}

/// What was done, or what is wrong.
async fn try_save(
    site: &Site,
    me: &SignedIn,
    typed: &Typed,
    source: Option<&Resource>,
) -> Result<Result<String, Refused<Typed>>, PageError> {
    let (draft, mut problems) = typed.read(source);
    add_all(&mut problems, draft.problems(source))?;
    if !problems.is_empty() {
        return Ok(Err(Refused::Problems(problems)));
    }
    let draft = with_copied_key(draft, source)?;
    let (db, vault, by) = (&site.db, &site.vault, me.actor());
    let saved = match &draft.id {
        None => resource::create(db, vault, &by, &draft).await.map_err(Refused::from),
        // Compared with what is stored once nobody else can write.
        Some(id) => {
            let over = |_: Option<&Resource>, stored: Draft| {
                let typed = merge::over(typed.clone(), Typed::of(&stored))?;
                let (draft, problems) = typed.read(source);
                if problems.is_empty() { Ok(draft) } else { Err(Refused::Problems(problems)) }
            };
            resource::edit(db, vault, &by, id, over).await
        }
    };
    let (outcome, resource) = match saved {
        Ok(saved) => saved,
        Err(Refused::Catalog(Error::Conflict { .. })) => {
            let reason = "is that of another resource of yours: choose one of its own";
            return Ok(Err(Refused::Problems(Problems::one("deployment", reason))));
        }
        Err(Refused::Catalog(error)) => {
            return Ok(Err(Refused::Problems(Problems::from_error(error)?)));
        }
        Err(refused) => return Ok(Err(refused)),
    };
    let text = match outcome {
        Outcome::Created => format!("{} is made; link it to an event to use it.", resource.name),
        Outcome::Updated => format!("{} is changed.", resource.name),
        Outcome::Unchanged => format!("{} was so already; nothing is changed.", resource.name),
    };
    site.health.check_soon(resource);
    Ok(Ok(text))
}

/// A copy has a key of its own from here on.
fn with_copied_key(draft: Draft, source: Option<&Resource>) -> Result<Draft, PageError> {
    if draft.id.is_some() || !matches!(draft.key, KeyChange::Keep) {
        return Ok(draft);
    }
    let key = draft.key_after(source)?.map_or(KeyChange::Remove, KeyChange::Set);
    Ok(Draft { key, ..draft })
}
