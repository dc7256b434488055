//! What a call brings: its JSON body, its query, the ids in its path. Whatever is
//! wrong with them is told in the API's own shape, without quoting a value.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;
use crate::portal::{Site, body};

/// The body, as JSON of this shape.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Site> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Site) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            return Err(ApiError::unsupported_media_type());
        }
        read(&body::read(request).await?).map(Body)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // A list would be read as the values of the fields, in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::invalid("body", "must be an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (field, cause) = (error.path().to_string(), error.inner());
        match cause.classify() {
            serde_json::error::Category::Data => wrong(&field, &cause.to_string()),
            _ => ApiError::malformed(place(cause)),
        }
    })?;
    json.end().map_err(|error| ApiError::malformed(place(&error)))?;
    match field_with_nul(bytes) {
        Some(field) => Err(ApiError::invalid(&field, "holds a NUL character")),
        None => Ok(value),
    }
}

/// The first field whose text holds a NUL character: PostgreSQL takes none, not even to
/// look for it. JSON can only send one escaped.
fn field_with_nul(bytes: &[u8]) -> Option<String> {
    if !bytes.windows(6).any(|six| six == br"\u0000") {
        return None;
    }
    holds_nul(&serde_json::from_slice(bytes).ok()?, "")
}

/// Where in the value a text holds a NUL character.
fn holds_nul(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(items) => (items.iter().enumerate())
            .find_map(|(n, item)| holds_nul(item, &format!("{path}[{n}]"))),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            let dot = if path.is_empty() { "" } else { "." };
            holds_nul(field, &format!("{path}{dot}{name}"))
        }),
        _ => None,
    }
}

fn place(error: &serde_json::Error) -> String {
    format!("see line {}, column {}", error.line(), error.column())
}

/// What the parser says of a field, without the value that it found.
fn wrong(field: &str, cause: &str) -> ApiError {
    let cause = cause.rsplit_once(" at line ").map_or(cause, |(cause, _)| cause);
    if let Some((unknown, known)) =
        cause.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, "))
    {
        return ApiError::invalid(unknown, format_args!("is no field here; {known}"));
    }
    if let Some(missing) = cause.strip_prefix("missing field `") {
        return ApiError::invalid(missing.trim_end_matches('`'), "is required");
    }
    let expected = cause.rsplit_once("expected ").map_or("another value", |(_, expected)| expected);
    let expected = expected.replace("a string", "text").replace("a boolean", "true or false");
    let expected = if expected.starts_with("struct ") { "an object" } else { &expected };
    match field {
        "." => ApiError::invalid("body", format_args!("must be {expected}")),
        field => ApiError::invalid(field, format_args!("must be {expected}")),
    }
}

/// The query, as it may stand there.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Site> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, site).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(_) => Err(ApiError::invalid("query", "holds what is not known here")),
        }
    }
}

/// The ids in the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Site> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, site).await {
            Ok(axum::extract::Path(ids)) => Ok(Self(ids)),
            Err(_) => Err(ApiError::not_found()),
        }
    }
}
