//! The sheet of cards: each with its name, its code and a QR code that leads to the claim page.

use askama::Template;
use qrcode::{Color, EcLevel, QrCode};
use secrecy::ExposeSecret;

use super::super::{path, tabs};
use crate::catalog::attendee::card::PrintedCard;
use crate::catalog::event::Event;
use crate::clock;
use crate::portal::Site;
use crate::portal::admin::events::Tabs;
use crate::portal::error::PageError;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::{SignedIn, Visitor};

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
    /// Made just now; else printed once more.
    is_new: bool,
    cards: Vec<Drawn>,
}

impl Sheet {
    fn starts(&self) -> String {
        clock::wall_clock(self.event.starts_at, &self.event.time_zone).replace('T', " ")
    }
}

/// The claim page as attendees reach it.
pub(super) fn claim_page(visitor: &Visitor) -> String {
    visitor.base_url.join("/claim")
}

/// The sheet as a page.
pub(super) async fn page(
    site: &Site,
    visitor: &Visitor,
    me: &SignedIn,
    event: Event,
    cards: Vec<PrintedCard>,
    is_new: bool,
) -> Answer {
    let claim_page = claim_page(visitor);
    let link = claim_page.clone();
    let draw = move |card: PrintedCard| {
        let code = card.code.expose_secret().to_owned();
        Ok(Drawn { qr: Qr::of(&format!("{link}#{code}"))?, code, card })
    };
    // Five hundred codes take a second of work, for which others would have to wait.
    let drawn = move || cards.into_iter().map(draw).collect::<Result<Vec<_>, PageError>>();
    let cards = tokio::task::spawn_blocking(drawn).await.map_err(PageError::internal)??;
    page::ok(&Sheet {
        frame: me.frame(Section::Events),
        tabs: tabs(site, &event),
        list: path(&event.id),
        event,
        claim_page,
        is_confirmed: visitor.base_url.is_confirmed(),
        is_new,
        cards,
    })
}

struct Drawn {
    card: PrintedCard,
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
