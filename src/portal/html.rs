//! A template as an answer.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

/// The page as HTML, under this status.
///
/// # Errors
/// The template fails.
pub fn rendered(status: StatusCode, page: &impl Template) -> askama::Result<Response> {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Ok((status, [(CONTENT_TYPE, kind)], page.render()?).into_response())
}
