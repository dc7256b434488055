//! The JSON API under `/api/admin/v1`: what the pages do, for programs.
//!
//! It is asked with a token and knows nothing of cookies, so a browser cannot be
//! tricked into a call. Each noun has a file of handlers. They take a
//! [`bearer::Program`], and the values that they answer are both what is sent and what
//! [`openapi`] describes; [`error::ApiError`] is the only map from what went wrong
//! to a response.

mod account;
mod answer;
mod attendees;
mod bearer;
mod body;
pub mod error;
mod etag;
mod events;
mod openapi;
mod resources;
mod usage;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router};
use http::Method;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use self::openapi::Description;
use super::Site;

/// The path below which the API is served.
pub const BASE: &str = "/api/admin/v1";

/// Names for the largest number of keys that are issued at once.
const LARGEST_BODY: usize = 1024 * 1024;

/// The calls of each path: what serves them, and how they are described. The router and the
/// description are both made of these and of nothing else.
fn calls() -> Vec<UtoipaMethodRouter<Site>> {
    vec![
        routes!(openapi::serve),
        routes!(account::owner),
        routes!(account::audit),
        routes!(resources::list, resources::create),
        routes!(resources::read, resources::update, resources::remove),
        routes!(resources::test),
        routes!(events::list, events::create),
        routes!(events::read, events::update, events::remove),
        routes!(events::pause),
        routes!(events::resume),
        routes!(events::extend),
        routes!(usage::read),
        routes!(attendees::list, attendees::issue),
        routes!(attendees::remove, attendees::update, attendees::read),
        routes!(attendees::new_key),
        routes!(attendees::list_deleted),
        routes!(attendees::let_in),
    ]
}

/// Each method and path below [`BASE`] that is served.
pub fn routes() -> Vec<(Method, String)> {
    let paths = calls().into_iter().flat_map(|(_, paths, _)| paths.paths);
    let all = paths.flat_map(|(path, item)| {
        openapi::methods(&item).into_iter().map(move |method| (method, path.clone()))
    });
    all.collect()
}

/// The router of the API, which serves its own description.
///
/// # Errors
/// The description cannot be written as JSON.
pub fn router() -> serde_json::Result<Router<Site>> {
    let described = OpenApiRouter::with_openapi(openapi::without_calls());
    let described = calls().into_iter().fold(described, OpenApiRouter::routes);
    let (router, document) = described.split_for_parts();
    Ok(router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(Extension(Description::of(&document)?))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(CatchPanicLayer::custom(error::panicked)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_call_is_described_and_no_other() {
        let described = OpenApiRouter::with_openapi(openapi::without_calls());
        let described = calls().into_iter().fold(described, OpenApiRouter::routes);
        let document = serde_json::to_value(described.into_openapi()).unwrap();
        let mut in_document = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                in_document.insert((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
        assert_eq!(routes().into_iter().collect::<BTreeSet<_>>(), in_document);
    }
}
