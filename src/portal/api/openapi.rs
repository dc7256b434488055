//! The API's description (OpenAPI 3.1): the part that surrounds the calls, and how the whole is
//! served. The handlers describe the calls. What is known elsewhere is added here: the rules of
//! fields, the errors of each call, and which call can follow which.

mod amend;
mod fold;
mod links;
mod refusals;
mod rules;
mod versions;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "AI Proxy",
        description = "What the portal does, for programs: the resources, events and attendees of one owner.\n\n\
            A body is JSON, in UTF-8. A field or query parameter that is unknown is refused, and so is text with a \
            NUL character. Spaces at the ends of one line of text are dropped before its length is counted. \
            A method that a path does not have is answered with 405 and `Allow`. Answers may get more fields.",
        version = "1",
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((url = "/api/admin/v1")),
    security(("token" = [])),
    components(schemas(Problem)),
    modifiers(&Token),
)]
struct Api;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", scheme);
    }
}

/// The document before calls are added to it.
pub fn without_calls() -> Document {
    Api::openapi()
}

/// The methods by which a path can be called.
pub fn methods(item: &PathItem) -> Vec<Method> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::OPTIONS, &item.options),
        (Method::HEAD, &item.head),
        (Method::PATCH, &item.patch),
        (Method::TRACE, &item.trace),
    ];
    all.into_iter().filter_map(|(method, call)| call.as_ref().map(|_| method)).collect()
}

/// The document as it is sent.
#[derive(Clone)]
pub struct Description(Bytes);

impl Description {
    /// # Errors
    /// The document cannot be written as JSON.
    pub fn of(document: &Document) -> serde_json::Result<Self> {
        let mut document = serde_json::to_value(document)?;
        fold::fold(&mut document)?;
        rules::state(&mut document)?;
        refusals::state(&mut document)?;
        versions::state(&mut document)?;
        links::state(&mut document)?;
        serde_json::to_vec(&document).map(|json| Self(json.into()))
    }
}

impl IntoResponse for Description {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

/// This document; no token is needed.
#[utoipa::path(get, path = "/openapi.json", tag = "description",
    operation_id = "readDescription", security(()), responses(
    (status = 200, body = serde_json::Value, description = "An OpenAPI 3.1 document"),
))]
pub async fn serve(Extension(description): Extension<Description>) -> Description {
    description
}
