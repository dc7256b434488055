//! What attendees do with what is theirs: a new key, signing out, files to save.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::person::paste;
use super::{Here, Mine, path};
use crate::catalog::attendee::session;
use crate::catalog::attendee::yours::{self, Card};
use crate::catalog::event::Event;
use crate::portal::form::Form;
use crate::portal::page::{self, Answer};
use crate::portal::{Site, download};

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

fn to_page(event_id: &str) -> Response {
    Redirect::to(&path(event_id)).into_response()
}

/// The same, for a browser in which nobody is signed in any more.
fn signed_out(Here { event, mut visitor, .. }: Here) -> Response {
    visitor.forget_attendee(&event.id);
    (visitor.cookies(), to_page(&event.id)).into_response()
}

pub async fn ask_new_key(Mine { here: Here { event, .. }, session }: Mine) -> Answer {
    let has_card = !session.attendee.has_joined_by_code();
    page::ok(&AskNewKey { path: path(&event.id), event, has_card })
}

pub async fn new_key(
    State(site): State<Site>,
    Mine { here, session }: Mine,
    Form(typed): Form<Typed>,
) -> Answer {
    yours::new_key(&site.db, &site.vault, &session, typed.card(), here.now).await?;
    Ok(to_page(&here.event.id))
}

pub async fn ask_sign_out(Mine { here: Here { event, .. }, session }: Mine) -> Answer {
    let has_card = !session.attendee.has_joined_by_code();
    let has_account = has_card && session.attendee.has_joined_by_themselves();
    let page = AskSignOut { path: path(&event.id), event, has_card, has_account };
    page::ok(&page)
}

/// In every browser.
pub async fn sign_out_everywhere(
    State(site): State<Site>,
    Mine { here, session }: Mine,
    Form(typed): Form<Typed>,
) -> Answer {
    yours::sign_out_everywhere(&site.db, &session, typed.card(), here.now).await?;
    Ok(signed_out(here))
}

#[derive(Deserialize)]
pub struct Browser {
    /// Its id; empty for this one.
    browser: String,
}

/// In one browser, this one or another of theirs.
pub async fn leave(
    State(site): State<Site>,
    Mine { here, session }: Mine,
    Form(typed): Form<Browser>,
) -> Answer {
    if typed.browser.is_empty() || typed.browser == session.id() {
        session::end(&site.db, &session).await?;
        return Ok(signed_out(here));
    }
    yours::sign_out_of(&site.db, &session, &typed.browser).await?;
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
    Mine { here, session }: Mine,
    Form(typed): Form<App>,
) -> Answer {
    yours::disconnect(&site.db, &session, &typed.app).await?;
    Ok(to_page(&here.event.id))
}

/// `event-<id>.env`
pub async fn env_file(State(site): State<Site>, Mine { here, session }: Mine) -> Answer {
    let key = yours::key(&site.db, &site.vault, &session).await?;
    let text = paste::env_file(&here.event, &here.visitor.base_url, &key);
    let name = format!("event-{}.env", here.event.id);
    Ok(download::file(&name, "text/plain; charset=utf-8", text))
}

pub async fn mcp_json(State(site): State<Site>, Mine { here, session }: Mine) -> Answer {
    let key = yours::key(&site.db, &site.vault, &session).await?;
    let text = paste::mcp_json(&here.event, &here.visitor.base_url, &key);
    Ok(download::file("mcp.json", "application/json", text))
}
