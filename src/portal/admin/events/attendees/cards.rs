//! Cards to print, one an attendee, and the same as a table. Codes are not kept,
//! so the sheet is the answer to the POST that makes them, and the table is made
//! of what the sheet sends back.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use qrcode::{Color, EcLevel, QrCode};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{path, person, tabs};
use crate::catalog::attendee::claim::{self, For, NewCard};
use crate::catalog::attendee::listing::ListedAttendee;
use crate::catalog::attendee::{self, Attendee};
use crate::catalog::event::{self, Event};
use crate::clock;
use crate::portal::admin::events::Tabs;
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::error::PageError;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::{SignedIn, Visitor};
use crate::portal::{Site, download};
use crate::spreadsheet;

#[derive(Template)]
#[template(path = "admin/events/attendees/cards.html")]
struct Sheet {
    frame: Frame,
    tabs: Tabs,
    list: String,
    event: Event,
    /// Where codes are claimed.
    claim_page: String,
    /// Whether that is sure to lead here.
    is_confirmed: bool,
    cards: Vec<Drawn>,
}

impl Sheet {
    fn starts(&self) -> String {
        clock::wall_clock(self.event.starts_at, &self.event.time_zone).replace('T', " ")
    }
}

struct Drawn {
    card: NewCard,
    code: String,
    qr: Qr,
}

/// A QR code as the path of an SVG, a unit a module.
struct Qr {
    side: usize,
    path: String,
}

impl Qr {
    fn of(text: &str) -> Result<Self, PageError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M);
        let code =
            code.map_err(|_| PageError::internal("a claim link is too long for a QR code"))?;
        let mut path = String::new();
        for (y, row) in code.to_colors().chunks(code.width()).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run.first() == Some(&Color::Dark) {
                    path.push_str(&format!("M{x} {y}h{0}v1h-{0}z", run.len()));
                }
                x += run.len();
            }
        }
        Ok(Self { side: code.width(), path })
    }
}

/// Asks before cards that may be printed stop working.
#[derive(Template)]
#[template(path = "admin/events/attendees/replace_cards.html")]
struct Replace<'a> {
    frame: Frame,
    list: String,
    /// Whose card it is; `None`: everybody's who has not used theirs.
    who: Option<ListedAttendee>,
    unclaimed: u32,
    whom: &'a str,
}

#[derive(Deserialize)]
pub struct AskedWhom {
    /// An attendee's id; none: everybody who has not used their card.
    whom: Option<String>,
}

pub async fn ask_replace(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Query(asked): Query<AskedWhom>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let who = match &asked.whom {
        Some(attendee) => Some(person::own(&site, &me, (&event.id, attendee)).await?),
        None => None,
    };
    let unclaimed = claim::waiting(&site.db, &me.owner.id, &event.id).await?.unclaimed;
    if who.is_none() && unclaimed == 0 {
        // Somebody has used the last one meanwhile.
        return Ok(Redirect::to(&path(&event.id)).into_response());
    }
    page::ok(&Replace {
        frame: me.frame(Section::Events),
        list: path(&event.id),
        who,
        unclaimed: unclaimed.min(u32::try_from(claim::MAX_CARDS).unwrap_or(u32::MAX)),
        whom: asked.whom.as_deref().unwrap_or("unclaimed"),
    })
}

/// The claim page as attendees reach it.
fn claim_page(visitor: &Visitor) -> String {
    visitor.base_url.join("/claim")
}

#[derive(Deserialize)]
pub struct Whom {
    /// `new`, `unclaimed` or an attendee's id.
    whom: String,
}

impl Guarded for Whom {
    const DOES: &'static str = "make cards, by which whoever holds one claims a key; older cards of the same people are void";
    const SECTION: Section = Section::Events;
}

pub async fn make(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Confirmed { me, typed }: Confirmed<Whom>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let whom = match typed.whom.as_str() {
        "new" => For::New,
        "unclaimed" => For::Unclaimed,
        id => For::One(id),
    };
    let claim_page = claim_page(&visitor);
    let made = claim::make_cards(&site.db, &site.vault, &me.actor(), &id, whom).await?;
    let link = claim_page.clone();
    let draw = move |card: NewCard| {
        let code = card.code.expose_secret().to_owned();
        Ok(Drawn { qr: Qr::of(&format!("{link}#{code}"))?, code, card })
    };
    // Five hundred codes take a second of work, for which others would have to wait.
    let drawn = move || made.into_iter().map(draw).collect::<Result<Vec<_>, PageError>>();
    let cards = tokio::task::spawn_blocking(drawn).await.map_err(PageError::internal)??;
    let (frame, tabs) = (me.frame(Section::Events), tabs(&event));
    let is_confirmed = visitor.base_url.is_confirmed();
    page::ok(&Sheet { frame, tabs, list: path(&id), event, claim_page, is_confirmed, cards })
}

/// What the sheet sends back: an attendee's id and their code each.
#[derive(Deserialize)]
pub struct Codes {
    #[serde(default)]
    card: Vec<String>,
}

impl Guarded for Codes {
    const DOES: &'static str = "save the codes of these cards as a file";
    const SECTION: Section = Section::Events;
}

pub async fn csv(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Confirmed { me, typed }: Confirmed<Codes>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let claim_page = claim_page(&visitor);
    let attendees = attendee::list(&site.db, &me.owner.id, &id).await?;
    let attendees: HashMap<&str, &Attendee> =
        attendees.iter().map(|attendee| (attendee.id.as_str(), attendee)).collect();
    let rows = typed.card.iter().take(claim::MAX_CARDS).filter_map(|pair| {
        let (id, code) = pair.split_once(' ')?;
        let who = attendees.get(id)?;
        let link = format!("{claim_page}#{code}");
        Some([who.user_id.clone(), who.display_name.clone(), code.to_owned(), link])
    });
    let table = spreadsheet::csv(["attendee", "name", "claim_code", "claim_link"], rows);
    Ok(download::csv(&format!("cards-{}.csv", event.id), table))
}
