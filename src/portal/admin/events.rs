//! Events: what all pages of one event share. Each page is a module of its own.

pub mod attendees;
mod defaults;
mod form;
mod list;
pub mod metrics;
pub mod preflight;
mod remove;
pub mod room;
mod save;

pub use list::show;
pub use remove::{ask_delete, delete};
pub use save::{blank, create, duplicate, edit, preview, update};

use crate::catalog::event::Event;
use crate::clock::DAY_MS;
use crate::portal::times;

const PATH: &str = "/admin/events";

/// How long before personal data is removed the pages of an event say so.
const ANNOUNCED_MS: i64 = 7 * DAY_MS;

/// The pages of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Event,
    Attendees,
    PreFlight,
    Room,
    Metrics,
}

impl Tab {
    /// In the order of the bar: the order in which an organiser needs them.
    pub const ALL: &[Tab] = &[Tab::Event, Tab::Attendees, Tab::PreFlight, Tab::Room, Tab::Metrics];

    pub fn name(self) -> &'static str {
        match self {
            Tab::Event => "Event",
            Tab::Attendees => "Attendees",
            Tab::PreFlight => "Pre-flight",
            Tab::Room => "In the room",
            Tab::Metrics => "Metrics",
        }
    }

    /// Its page of an event.
    fn path(self, event_id: &str) -> String {
        format!("{PATH}/{event_id}{}", self.suffix())
    }

    /// What follows the event's own path.
    fn suffix(self) -> &'static str {
        match self {
            Tab::Event => "",
            Tab::Attendees => "/attendees",
            Tab::PreFlight => "/preflight",
            Tab::Room => "/room",
            Tab::Metrics => "/metrics",
        }
    }
}

/// The bar above a page of an event.
#[derive(Debug)]
pub struct Tabs {
    pub event_id: String,
    pub event_name: String,
    pub current: Tab,
    /// When personal data of attendees is removed, where that is soon.
    pub forgets: Option<String>,
}

impl Tabs {
    pub fn of(event: &Event, current: Tab, now_ms: i64) -> Self {
        let soon = event.forgets_at().filter(|at| at - now_ms <= ANNOUNCED_MS);
        let zone = &event.time_zone;
        let forgets =
            soon.map(|at| format!("{} ({})", times::moment(at, zone), times::place(zone)));
        Self { event_id: event.id.clone(), event_name: event.name.clone(), current, forgets }
    }

    pub fn path(&self, tab: Tab) -> String {
        tab.path(&self.event_id)
    }
}
