//! Cards to print, one an attendee, and the same as a table. Making them and showing them again
//! asks for the password first, because whoever holds a code can claim the key.

mod sheet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{path, person};
use crate::catalog::attendee::card::{self, PrintedCard, Which};
use crate::catalog::attendee::claim::{self, For};
use crate::catalog::attendee::listing::ListedAttendee;
use crate::catalog::audit::{self, Action};
use crate::catalog::event;
use crate::catalog::{Error, Noun};
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::{SignedIn, Visitor};
use crate::portal::{Site, download};
use crate::spreadsheet;

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
        unclaimed: unclaimed.min(u32::try_from(card::MAX_CARDS).unwrap_or(u32::MAX)),
        whom: asked.whom.as_deref().unwrap_or("unclaimed"),
    })
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
    let made = claim::make_cards(&site.db, &site.vault, &me.actor(), &id, whom).await?;
    sheet::page(&site, &visitor, &me, event, made, true).await
}

/// Cards that there are already: a part of all, or one attendee's.
#[derive(Deserialize)]
pub struct Again {
    /// From 1.
    #[serde(default)]
    part: u32,
    /// An attendee's id.
    #[serde(default)]
    whom: Option<String>,
}

impl Guarded for Again {
    const DOES: &'static str =
        "show the codes of cards that were created before, so that you can print them again";
    const SECTION: Section = Section::Events;
}

pub async fn again(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Confirmed { me, typed }: Confirmed<Again>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let which = match &typed.whom {
        Some(whom) => Which::Of(std::slice::from_ref(whom)),
        None => Which::Part(typed.part),
    };
    let cards = card::stored(&site.db, &site.vault, &me.owner.id, &event.id, which).await?;
    if cards.is_empty() {
        let Some(whom) = &typed.whom else {
            return Ok(Redirect::to(&path(&event.id)).into_response());
        };
        person::own(&site, &me, (&event.id, whom)).await?;
        let reason = "this card cannot be printed again: it was used up, or it was created before \
                      codes were stored. Make a new card";
        return Err(Error::Conflict { reason: reason.to_owned() }.into());
    }
    note(&site, &me, &event.id, &cards).await?;
    sheet::page(&site, &visitor, &me, event, cards, false).await
}

/// Notes that codes were handed out.
async fn note(
    site: &Site,
    me: &SignedIn,
    event_id: &str,
    cards: &[PrintedCard],
) -> Result<(), Error> {
    let (noun, id, detail) = match cards {
        [one] => (Noun::Attendee, &*one.attendee_id, String::new()),
        many => (Noun::Event, event_id, format!("{} cards", many.len())),
    };
    audit::note(&site.db, &me.actor(), Action::PrintedCards, noun, id, &detail).await
}

/// The attendees whose cards are on the sheet, by their ids.
#[derive(Deserialize)]
pub struct OnSheet {
    #[serde(default)]
    card: Vec<String>,
}

impl Guarded for OnSheet {
    const DOES: &'static str = "save the codes of these cards as a file";
    const SECTION: Section = Section::Events;
}

pub async fn csv(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Confirmed { me, typed }: Confirmed<OnSheet>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let claim_page = sheet::claim_page(&visitor);
    let which = Which::Of(&typed.card);
    let cards = card::stored(&site.db, &site.vault, &me.owner.id, &id, which).await?;
    if !cards.is_empty() {
        note(&site, &me, &event.id, &cards).await?;
    }
    let rows = cards.into_iter().map(|card| {
        let code = card.code.expose_secret();
        let link = format!("{claim_page}#{code}");
        [card.user_id, card.display_name, code.to_owned(), link]
    });
    let table = spreadsheet::csv(["attendee", "name", "claim_code", "claim_link"], rows);
    Ok(download::csv(&format!("cards-{}.csv", event.id), table))
}
