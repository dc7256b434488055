//! The JSON API under `/api/admin/v1`: what the pages do, for programs.
//!
//! It is asked with a token and knows nothing of cookies, so a browser cannot be
//! tricked into a call. Handlers stand in one file a noun, take a
//! [`bearer::Caller`], and answer values that are both what is sent and what
//! [`openapi`] describes; [`error::ApiError`] is the only map from what went wrong
//! to a response.

pub mod account;
pub mod answer;
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
use tower_http::catch_panic::CatchPanicLayer;

use super::Site;

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
