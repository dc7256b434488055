//! *Continue on your computer*: a code and a short address, which open the same page there. The page
//! that shows them says which browser opened, and can sign it out.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use secrecy::ExposeSecret;

use super::{Here, Mine, path};
use crate::catalog::attendee::continued::{self, Standing};
use crate::catalog::attendee::session::AttendeeSession;
use crate::catalog::event::Event;
use crate::portal::page::{self, Answer};
use crate::portal::{Site, times};

#[derive(Template)]
#[template(path = "attendee/continue.html")]
struct Continue {
    event: Event,
    path: String,
    /// The address to open on the other device.
    address: String,
    is_confirmed: bool,
    /// Shown once: only its digest is kept.
    code: Option<String>,
    standing: Standing,
}

impl Continue {
    fn moment(&self, ms: &i64) -> String {
        times::moment(*ms, &self.event.time_zone)
    }
}

pub async fn show(State(site): State<Site>, Mine { here, session }: Mine) -> Answer {
    shown(&site, here, &session, None).await
}

pub async fn make(State(site): State<Site>, Mine { here, session }: Mine) -> Answer {
    let code = continued::make(&site.db, &site.vault, &session, here.now).await?;
    shown(&site, here, &session, Some(code.expose_secret().to_owned())).await
}

/// Signs out the browser that opened by the code.
pub async fn not_me(State(site): State<Site>, Mine { here, session }: Mine) -> Answer {
    continued::not_me(&site.db, &session).await?;
    Ok(Redirect::to(&format!("{}/continue", path(&here.event.id))).into_response())
}

async fn shown(site: &Site, here: Here, session: &AttendeeSession, code: Option<String>) -> Answer {
    let standing = continued::standing(&site.db, session, here.now).await?;
    let Here { event, visitor, .. } = here;
    let page = Continue {
        path: path(&event.id),
        address: visitor.base_url.as_str().to_owned(),
        is_confirmed: visitor.base_url.is_confirmed(),
        event,
        code,
        standing,
    };
    page::ok(&page)
}
