//! Backup: all that an owner has, as a sealed file to keep; `restore` is the way back.

pub mod restore;

use askama::Template;
use axum::extract::State;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::backup::{self, BackupTurn, Error};
use crate::catalog::Noun;
use crate::catalog::audit::{self, Action};
use crate::clock;
use crate::identity::password;
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::error::PageError;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;
use crate::portal::{Site, download};

const PATH: &str = "/admin/backup";

#[derive(Template)]
#[template(path = "admin/backup.html")]
struct Backup {
    frame: Frame,
    with_figures: bool,
    download: Problems,
    restore: Problems,
}

impl Backup {
    fn of(me: &SignedIn) -> Self {
        Self {
            frame: me.frame(Section::Backup),
            with_figures: true,
            download: Problems::none(),
            restore: Problems::none(),
        }
    }
}

pub async fn show(me: SignedIn) -> Answer {
    page::ok(&Backup::of(&me))
}

#[derive(Deserialize)]
pub struct Wish {
    passphrase: SecretString,
    again: SecretString,
    figures: Option<String>,
}

impl Guarded for Wish {
    const DOES: &'static str = "download a file with all that is yours, and with every key";
    const SECTION: Section = Section::Backup;
}

pub async fn download(
    State(site): State<Site>,
    Confirmed { me, typed }: Confirmed<Wish>,
) -> Answer {
    let with_figures = typed.figures.is_some();
    let mut problems = Problems::none();
    // Who has the file can guess as fast as their machines allow.
    let refused = backup::refuse(&typed.passphrase)
        .or_else(|| password::refuse_common(typed.passphrase.expose_secret()));
    if let Some(reason) = refused {
        problems.add("passphrase", reason);
    } else if typed.passphrase.expose_secret() != typed.again.expose_secret() {
        problems.add("again", "is another one");
    }
    if problems.is_empty() {
        match make(&site, &me, &typed.passphrase, with_figures).await {
            Ok((file, turn)) => {
                let today = clock::date(site.clock.now_ms());
                let name = format!("ai-proxy-{}-{today}.backup", me.owner.name);
                return Ok(download::held(&name, "application/octet-stream", file, turn));
            }
            Err(Error::Catalog(error)) => return Err(error.into()),
            Err(Error::TooMuch(reason)) => problems.add("figures", reason),
            Err(Error::Busy) => {
                problems.add("passphrase", format!("was not used: {}", Error::Busy))
            }
            Err(error) => return Err(PageError::internal(error)),
        }
    }
    page::unprocessable(&Backup { with_figures, download: problems, ..Backup::of(&me) })
}

/// The file, noted in the audit trail before it is handed out.
async fn make(
    site: &Site,
    me: &SignedIn,
    passphrase: &SecretString,
    with_figures: bool,
) -> Result<(Vec<u8>, BackupTurn), Error> {
    let owner_id = &me.owner.id;
    let turn = site.backups.turn(owner_id).await?;
    let archive =
        backup::gather(&site.db, &site.vault, owner_id, with_figures, site.clock.now_ms()).await?;
    let (events, attendees) = (archive.events.len(), archive.attendees.len());
    let detail = format!("events: {events}, attendees: {attendees}, with all their keys");
    let file = site.backups.seal(&turn, archive, passphrase).await?;
    audit::note(&site.db, &me.actor(), Action::BackedUp, Noun::Owner, owner_id, &detail).await?;
    Ok((file, turn))
}
