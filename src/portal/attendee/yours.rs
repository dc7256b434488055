//! What attendees do with what is theirs: a new key, signing out, files to save.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::person::paste;
use super::{Here, path};
use crate::catalog::attendee::session::{self, AttendeeSession};
use crate::catalog::attendee::yours::{self, Card};
use crate::catalog::event::Event;
use crate::portal::error::PageError;
use crate::portal::form::Form;
use crate::portal::visitor::Visitor;
use crate::portal::{Site, download, page};

/// The way back to the page of the event, for whoever is not signed in, or an answer.
type Answer = Result<Response, Response>;

#[derive(Template)]
#[template(path = "attendee/new_key.html")]
struct AskNewKey {
    event: Event,
    path: String,
    has_card: bool,
}

#[derive(Template)]
#[template(path = "attendee/sign_out.html")]
struct AskSignOut {
    event: Event,
    path: String,
    has_card: bool,
    /// At GitHub or at a gateway: with it they come back.
    has_account: bool,
}

/// Whether the card is made void as well.
#[derive(Deserialize)]
pub struct Typed {
    void_card: Option<String>,
}

impl Typed {
    fn card(&self) -> Card {
        if self.void_card.is_some() { Card::Void } else { Card::Keep }
    }
}

fn failed(error: impl Into<PageError>) -> Response {
    error.into().into_response()
}

async fn mine(
    site: &Site,
    visitor: Visitor,
    id: &str,
) -> Result<(Here, AttendeeSession), Response> {
    Here::signed_in(site, visitor, id).await
}

fn to_page(event_id: &str) -> Response {
    Redirect::to(&path(event_id)).into_response()
}

pub async fn ask_new_key(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Answer {
    let (Here { event, .. }, session) = mine(&site, visitor, &id).await?;
    let has_card = !session.attendee.has_joined_by_code();
    page::ok(&AskNewKey { path: path(&event.id), event, has_card }).map_err(failed)
}

pub async fn new_key(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(typed): Form<Typed>,
) -> Answer {
    let (here, session) = mine(&site, visitor, &id).await?;
    let made = yours::new_key(&site.db, &site.vault, &session, typed.card(), here.now).await;
    made.map_err(failed)?;
    Ok(to_page(&here.event.id))
}

pub async fn ask_sign_out(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Answer {
    let (Here { event, .. }, session) = mine(&site, visitor, &id).await?;
    let has_card = !session.attendee.has_joined_by_code();
    let has_account = has_card && session.attendee.has_joined_by_themselves();
    let page = AskSignOut { path: path(&event.id), event, has_card, has_account };
    page::ok(&page).map_err(failed)
}

/// In every browser.
pub async fn sign_out_everywhere(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(typed): Form<Typed>,
) -> Answer {
    let (mut here, session) = mine(&site, visitor, &id).await?;
    let done = yours::sign_out_everywhere(&site.db, &session, typed.card(), here.now).await;
    done.map_err(failed)?;
    here.visitor.forget_attendee(&here.event.id);
    Ok((here.visitor.cookies(), to_page(&here.event.id)).into_response())
}

#[derive(Deserialize)]
pub struct Browser {
    /// Its id; empty for this one.
    browser: String,
}

/// In one browser, this one or another of theirs.
pub async fn leave(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(typed): Form<Browser>,
) -> Answer {
    let (mut here, session) = mine(&site, visitor, &id).await?;
    if typed.browser.is_empty() || typed.browser == session.id() {
        session::end(&site.db, &session).await.map_err(failed)?;
        here.visitor.forget_attendee(&here.event.id);
        return Ok((here.visitor.cookies(), to_page(&here.event.id)).into_response());
    }
    yours::sign_out_of(&site.db, &session, &typed.browser).await.map_err(failed)?;
    Ok(to_page(&here.event.id))
}

#[derive(Deserialize)]
pub struct App {
    /// The id of the grant.
    app: String,
}

/// Ends what an app was allowed.
pub async fn disconnect(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(typed): Form<App>,
) -> Answer {
    let (here, session) = mine(&site, visitor, &id).await?;
    yours::disconnect(&site.db, &session, &typed.app).await.map_err(failed)?;
    Ok(to_page(&here.event.id))
}

/// `event-<id>.env`
pub async fn env_file(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Answer {
    let (here, session) = mine(&site, visitor, &id).await?;
    let key = yours::key(&site.db, &site.vault, &session).await.map_err(failed)?;
    let text = paste::env_file(&here.event, &here.visitor.base_url, &key);
    let name = format!("event-{}.env", here.event.id);
    Ok(download::file(&name, "text/plain; charset=utf-8", text))
}

pub async fn mcp_json(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Answer {
    let (here, session) = mine(&site, visitor, &id).await?;
    let key = yours::key(&site.db, &site.vault, &session).await.map_err(failed)?;
    let text = paste::mcp_json(&here.event, &here.visitor.base_url, &key);
    Ok(download::file("mcp.json", "application/json", text))
}
