//! The API's description (OpenAPI 3.1), made from the types that it is made of.

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{account, attendees, events, resources, usage};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "AI Proxy",
        description = "What the portal does, for programs: the resources, events and attendees of one owner.",
        version = "1",
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((url = "/api/admin/v1")),
    security(("token" = [])),
    modifiers(&Token),
    paths(
        serve,
        account::owner, account::audit,
        resources::list, resources::create, resources::read, resources::update, resources::remove,
        resources::test,
        events::list, events::create, events::read, events::update, events::remove, events::pause,
        events::resume, events::extend,
        usage::read,
        attendees::list, attendees::issue, attendees::read, attendees::update, attendees::remove,
        attendees::new_key, attendees::list_deleted, attendees::let_in,
    ),
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

/// This document; no token is needed.
#[utoipa::path(get, path = "/openapi.json", tag = "description", security(()), responses(
    (status = 200, description = "An OpenAPI 3.1 document"),
))]
pub async fn serve() -> Json<Document> {
    Json(Api::openapi())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::portal::api::routes;

    #[test]
    fn every_path_is_described_and_no_other() {
        let served: BTreeSet<_> = routes().iter().map(|(path, _)| (*path).to_owned()).collect();
        let described: BTreeSet<_> = Api::openapi().paths.paths.into_keys().collect();
        assert_eq!(described, served);
    }
}
