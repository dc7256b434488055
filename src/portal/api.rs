//! The JSON API under `/api/admin/v1`: what the pages do, for programs.
//!
//! It is asked with a token and knows nothing of cookies, so a browser cannot be
//! tricked into a call. Handlers stand in one file a noun, take a
//! [`bearer::Caller`], and answer values that are both what is sent and what
//! [`openapi`] describes; [`error::ApiError`] is the only map from what went wrong
//! to a response.

pub mod account;
pub mod attendees;
pub mod bearer;
pub mod body;
pub mod error;
pub mod events;
pub mod openapi;
pub mod resources;
pub mod usage;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, post};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::ToSchema;

use super::Site;
use crate::catalog::{self, Outcome};

/// Where all of it stands.
pub const BASE: &str = "/api/admin/v1";

/// Names for the largest number of keys that are issued at once.
const LARGEST_BODY: usize = 1024 * 1024;

/// Every path, as the description writes it.
fn routes() -> [(&'static str, MethodRouter<Site>); 17] {
    [
        ("/openapi.json", get(openapi::serve)),
        ("/owner", get(account::owner)),
        ("/audit", get(account::audit)),
        ("/resources", get(resources::list).post(resources::create)),
        (
            "/resources/{id}",
            get(resources::read).patch(resources::update).delete(resources::remove),
        ),
        ("/resources/{id}/test", post(resources::test)),
        ("/events", get(events::list).post(events::create)),
        ("/events/{id}", get(events::read).patch(events::update).delete(events::remove)),
        ("/events/{id}/pause", post(events::pause)),
        ("/events/{id}/resume", post(events::resume)),
        ("/events/{id}/extend", post(events::extend)),
        ("/events/{id}/usage", get(usage::read)),
        ("/events/{id}/attendees", get(attendees::list).post(attendees::issue)),
        (
            "/events/{id}/attendees/{attendee_id}",
            delete(attendees::remove).patch(attendees::update).get(attendees::read),
        ),
        ("/events/{id}/attendees/{attendee_id}/key", post(attendees::new_key)),
        ("/events/{id}/attendees/deleted", get(attendees::list_deleted)),
        ("/events/{id}/attendees/deleted/{user_id}/let-in", post(attendees::let_in)),
    ]
}

pub fn router() -> Router<Site> {
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(CatchPanicLayer::custom(error::panicked))
}

/// Several of a noun.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Where there are more: what to ask for as the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Rows that are missing because they cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

impl<T> List<T> {
    pub fn whole(items: impl IntoIterator<Item = T>) -> axum::Json<Self> {
        axum::Json(Self::page(items.into_iter().collect(), None))
    }

    pub fn page(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next, unreadable: Vec::new() }
    }
}

/// A stored row that cannot be read and is not served.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unreadable {
    id: String,
    name: String,
    /// What the owner should do.
    message: String,
}

impl From<&catalog::Unreadable> for Unreadable {
    fn from(row: &catalog::Unreadable) -> Self {
        Self { id: row.id.clone(), name: row.name.clone(), message: row.remedy() }
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Created,
    Updated,
    /// Everything was so already.
    Unchanged,
}

impl From<Outcome> for Change {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Created => Change::Created,
            Outcome::Updated => Change::Updated,
            Outcome::Unchanged => Change::Unchanged,
        }
    }
}

/// A row as a write left it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Saved<T> {
    pub change: Change,
    #[serde(flatten)]
    pub item: T,
}
