//! Making, copying, previewing and changing an event.

use axum::extract::{Path, Query, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

use super::form::{EventPage, Typed};
use super::{PATH, defaults};
use crate::catalog::event::{self, Draft, Event};
use crate::catalog::limits::NAME;
use crate::catalog::{Error, Outcome};
use crate::clock::rfc3339;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::{Form, Problems};
use crate::portal::merge::{self, Refused};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::SignedIn;

#[derive(Deserialize)]
pub struct Asked {
    /// The browser's own.
    #[serde(default)]
    zone: String,
}

pub async fn blank(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    let zone = defaults::zone(&asked.zone);
    let (start, end) = defaults::week(now(&site)?, &zone);
    let draft = Draft {
        organizer_name: me.owner.name.clone(),
        time_zone: defaults::zone_name(&zone),
        start,
        end,
        ..Draft::default()
    };
    let typed = Typed::from(&draft);
    page::ok(&EventPage::new(&site, &me, &typed, None, Problems::none()).await?)
}

fn now(site: &Site) -> Result<Timestamp, PageError> {
    Timestamp::from_millisecond(site.clock.now_ms()).map_err(PageError::internal)
}

pub async fn edit(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let stored = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let typed = Typed::of(&Draft::from(&stored));
    page::ok(&EventPage::new(&site, &me, &typed, Some(&stored), Problems::none()).await?)
}

/// A new event that begins as a copy: off, later, and with no way in that is known to others.
pub async fn duplicate(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let copied = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let (start, end) = defaults::moved(&copied, now(&site)?);
    let draft = Draft {
        id: None,
        name: copied.name.chars().take(NAME - " (copy)".len()).collect::<String>() + " (copy)",
        start,
        end,
        shared_code: None,
        active: false,
        ..Draft::from(&copied)
    };
    let typed = Typed { copy_of: id, ..Typed::from(&draft) };
    page::ok(&EventPage::new(&site, &me, &typed, Some(&copied), Problems::none()).await?)
}

/// The form once more, saved by nobody, with what was typed as it would look.
pub async fn preview(State(site): State<Site>, me: SignedIn, Form(typed): Form<Typed>) -> Answer {
    let source = typed.source(&site, &me).await?;
    page::ok(&EventPage::new(&site, &me, &typed, source.as_ref(), Problems::none()).await?)
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
        Err(Refused::Problems(problems)) => {
            page::unprocessable(&EventPage::new(site, me, &typed, source.as_ref(), problems).await?)
        }
        Err(Refused::Catalog(error)) => Err(error.into()),
        Err(Refused::Both(typed, conflicts)) => {
            let problems = merge::problems(&conflicts);
            let page = EventPage::new(site, me, &typed, source.as_ref(), problems).await?;
            page::with_status(StatusCode::CONFLICT, &page.with_conflicts(conflicts))
        }
    }
}

/// What was done, or what is wrong.
async fn try_save(
    site: &Site,
    me: &SignedIn,
    typed: &Typed,
    source: Option<&Event>,
) -> Result<Result<String, Refused<Typed>>, PageError> {
    let (draft, problems) = typed.read(source.map(Draft::from).unwrap_or_default());
    if !problems.is_empty() {
        return Ok(Err(Refused::Problems(problems)));
    }
    let (db, vault, by) = (&site.db, &site.vault, me.actor());
    let saved = match &draft.id {
        None => event::create(db, vault, &by, &draft).await.map_err(Refused::from),
        // Compared with what is stored once nobody else can write.
        Some(id) => {
            let over = |_: Option<&Event>, stored: Draft| {
                let typed = merge::over(typed.clone(), Typed::of(&stored))?;
                let (draft, problems) = typed.read(stored);
                if problems.is_empty() { Ok(draft) } else { Err(Refused::Problems(problems)) }
            };
            event::edit(db, vault, &by, id, over).await
        }
    };
    let (outcome, saved) = match saved {
        Ok(saved) => saved,
        Err(Refused::Catalog(Error::Invalid { field: "resources", .. })) => {
            let reason = "hold one that is not there any more: look at the list again";
            return Ok(Err(Refused::Problems(Problems::one("resources", reason))));
        }
        Err(Refused::Catalog(error @ Error::Invalid { .. })) => {
            return Ok(Err(Refused::Problems(Problems::from_error(error)?)));
        }
        Err(refused) => return Ok(Err(refused)),
    };
    let name = &saved.name;
    let dates = format!("opens {}, closes {}", rfc3339(saved.starts_at), rfc3339(saved.ends_at));
    let off = if saved.active {
        ""
    } else {
        " It is off, so every key is refused until you switch it on."
    };
    Ok(Ok(match outcome {
        Outcome::Created => format!("{name} is made: {dates}.{off}"),
        Outcome::Updated => format!("{name} is changed: {dates}.{off}"),
        Outcome::Unchanged => format!("{name} was so already; nothing is changed."),
    }))
}
