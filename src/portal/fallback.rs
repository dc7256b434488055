//! What is answered where no handler is reached: nothing is at the address, or the request is
//! refused before it gets to one. Pages and the API each have their own shape.

use std::any::Any;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tower_http::csrf::ProtectionError;

use super::api;
use super::error::{PageError, dead_end};

/// Nothing has a NUL in its id or name, and PostgreSQL takes none in a text.
pub async fn without_nul(request: Request, next: Next) -> Response {
    let uri = request.uri();
    if !uri.path_and_query().is_some_and(|target| target.as_str().contains("%00")) {
        return next.run(request).await;
    }
    match uri.path().starts_with(api::BASE) {
        true => api::error::not_found().await.into_response(),
        false => PageError::NotFound.into_response(),
    }
}

pub async fn not_found() -> PageError {
    PageError::NotFound
}

pub async fn method_not_allowed() -> Response {
    let text = "This address cannot be opened in that way. Go back and use the page's own buttons.";
    dead_end(StatusCode::METHOD_NOT_ALLOWED, "Not like this", text)
}

/// A form that another site's page sent.
pub fn cross_site(_: ProtectionError) -> Response {
    let text = "The form was sent from another site. If it was this one, open it at the address \
                that the organiser gave, and try again.";
    dead_end(StatusCode::FORBIDDEN, "Not from here", text)
}

/// A handler panicked: the message is logged where it happened.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    PageError::Internal.into_response()
}
