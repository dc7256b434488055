//! What is answered where no handler is reached: nothing is at the address, or the request is
//! refused before it gets to one. Pages and the API each have their own shape.

use std::any::Any;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
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

/// Gives a refusal of the framework, which is a line of text, the shape of a page: an address whose
/// id or query cannot be read, or a form that is not sent as one.
pub async fn framed(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !status.is_client_error() || !kind.is_some_and(|kind| kind.starts_with("text/plain")) {
        return response;
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => PageError::TooLarge.into_response(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => PageError::BadForm.into_response(),
        _ => {
            let text = "Part of this address cannot be read: its query holds a value that the page does \
                        not know, or the form did not arrive whole. Nothing was changed. Go back and use \
                        the page's own links, or delete the address from its “?” on.";
            dead_end(status, "Address not understood", text)
        }
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
