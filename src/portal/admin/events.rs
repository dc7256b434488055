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

const PATH: &str = "/admin/events";

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
}

impl Tabs {
    pub fn of(event: &Event, current: Tab) -> Self {
        Self { event_id: event.id.clone(), event_name: event.name.clone(), current }
    }

    pub fn path(&self, tab: Tab) -> String {
        format!("/admin/events/{}{}", self.event_id, tab.suffix())
    }
}
