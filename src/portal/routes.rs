//! Every path of the portal, on one screen.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;

use super::admin::events::{self, attendees, metrics, preflight, room};
use super::admin::{
    account, audit, backup, capacity, entra, home, owners, reports, resources, setup, sign_in,
    tokens,
};
use super::api::error::ApiError;
use super::error::PageError;
use super::intake::{self, Crowd, Door, Gate};
use super::{Site, api, assets, claim, fallback, page};

pub fn router(site: Site) -> anyhow::Result<Router> {
    let mut same_site =
        CsrfLayer::new().with_rejection_response(fallback::cross_site as fn(_) -> _);
    if let Some(url) = &site.config.public_url {
        let origin = url.origin().ascii_serialization();
        same_site = same_site.add_trusted_origin(origin).context("--public-url")?;
    }
    let visitors = Router::new()
        .route("/", get(home::landing))
        .route("/assets/{name}", get(assets::serve))
        .route("/claim", get(claim::show).post(claim::submit))
        // Who a person is
        .route("/admin/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/admin/sign-in/entra", get(entra::begin))
        .route("/admin/sign-in/entra/callback", get(entra::callback))
        .route("/admin/setup/{token}", get(setup::show).post(setup::submit))
        .route("/admin/setup/{token}/entra", get(entra::begin_invited));
    let owners = Router::new()
        .route("/admin/sign-out", post(sign_in::sign_out))
        .route("/admin/tokens", get(tokens::show).post(tokens::create))
        .route("/admin/tokens/{id}/revoke", get(tokens::ask_revoke).post(tokens::revoke))
        .route("/admin/account", get(account::show))
        .route("/admin/account/password", post(account::change_password))
        .route("/admin/account/sessions", post(account::end_others))
        .route("/admin", get(home::show))
        .route("/admin/audit", get(audit::show))
        .route("/admin/backup", get(backup::show))
        .route("/admin/backup/file", post(backup::download))
        .route(
            "/admin/backup/restore",
            post(backup::restore::upload).layer(backup::restore::upload_limit()),
        )
        .route(
            "/admin/backup/restore/{id}",
            get(backup::restore::preview).post(backup::restore::confirm),
        )
        .route("/admin/backup/restore/{id}/discard", post(backup::restore::discard))
        .route("/admin/resources", get(resources::show))
        .route("/admin/resources/new", get(resources::blank).post(resources::create))
        .route("/admin/resources/test", post(resources::test))
        .route("/admin/resources/{id}", get(resources::edit).post(resources::update))
        .route("/admin/resources/{id}/duplicate", get(resources::duplicate))
        .route("/admin/resources/{id}/active", post(resources::set_active))
        .route("/admin/resources/{id}/delete", get(resources::ask_delete).post(resources::delete))
        .route("/admin/capacity", get(capacity::show))
        // Events
        .route("/admin/events", get(events::show))
        .route("/admin/events/new", get(events::blank).post(events::create))
        .route("/admin/events/preview", post(events::preview))
        .route("/admin/events/{id}", get(events::edit).post(events::update))
        .route("/admin/events/{id}/duplicate", get(events::duplicate))
        .route("/admin/events/{id}/delete", get(events::ask_delete).post(events::delete))
        // One event
        .route(
            "/admin/events/{id}/attendees",
            get(attendees::show).post(attendees::issue).layer(attendees::upload_limit()),
        )
        .route("/admin/events/{id}/attendees/cards", post(attendees::cards::make))
        .route("/admin/events/{id}/attendees/cards.csv", post(attendees::cards::csv))
        .route("/admin/events/{id}/attendees/deleted", post(attendees::deleted::let_in_again))
        .route("/admin/events/{id}/attendees/{attendee}", get(attendees::person::show))
        .route(
            "/admin/events/{id}/attendees/{attendee}/activity",
            post(attendees::person::activity),
        )
        .route("/admin/events/{id}/attendees/{attendee}/key", post(attendees::person::new_key))
        .route("/admin/events/{id}/attendees/{attendee}/cap", post(attendees::person::cap))
        .route(
            "/admin/events/{id}/attendees/{attendee}/delete",
            get(attendees::person::ask_delete).post(attendees::person::delete),
        )
        .route("/admin/events/{id}/preflight", get(preflight::show).post(preflight::start))
        .route("/admin/events/{id}/room", get(room::show))
        .route("/admin/events/{id}/room/activity", post(room::activity))
        .route("/admin/events/{id}/room/end", post(room::end))
        .route("/admin/events/{id}/room/cap", post(room::cap))
        .route("/admin/events/{id}/room/registration", post(room::registration))
        .route("/admin/events/{id}/room/resources/{resource_id}", post(room::resource))
        .route("/admin/events/{id}/metrics", get(metrics::show))
        .route("/admin/events/{id}/metrics/{table}", get(metrics::download))
        // All events
        .route("/admin/reports", get(reports::show))
        .route("/admin/reports/events.csv", get(reports::file))
        // For administrators
        .route("/admin/owners", get(owners::show).post(owners::invite))
        .route("/admin/owners/{id}/link", post(owners::link))
        .route("/admin/owners/{id}/role", post(owners::set_role))
        .route(
            "/admin/owners/{id}/deactivate",
            get(owners::ask_deactivate).post(owners::deactivate),
        )
        .route("/admin/owners/{id}/reactivate", post(owners::reactivate))
        .layer(intake::owners_form());
    let gate = Arc::new(Gate::default());
    let door = |crowd| Door::new(&site, &gate, crowd);
    let visitors_door = from_fn_with_state(door(Crowd::Visitors), intake::admit::<PageError>);
    let owners_door = from_fn_with_state(door(Crowd::Owners), intake::admit::<PageError>);
    let programs_door = from_fn_with_state(door(Crowd::Programs), intake::admit::<ApiError>);
    let router = visitors
        .route_layer(visitors_door)
        .merge(owners.route_layer(owners_door))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(same_site)
        // After what guards cookies: it takes none.
        .nest(api::BASE, api::router().route_layer(programs_door))
        .route("/api/admin/{*rest}", any(api::error::not_found))
        .layer(axum::middleware::from_fn(fallback::without_nul))
        .layer(from_fn_with_state(site.clone(), page::finish))
        .with_state(site);
    Ok(router)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::{Request, StatusCode};
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    async fn broken() -> &'static str {
        panic!("on purpose")
    }

    #[tokio::test]
    async fn a_panic_is_a_page_that_tells_nothing_of_it() {
        let router = Router::new()
            .route("/", get(broken))
            .layer(CatchPanicLayer::custom(fallback::panicked));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = TowerToHyperService::new(router).call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let page = to_bytes(response.into_body(), 50_000).await.unwrap();
        let page = std::str::from_utf8(&page).unwrap();
        assert!(page.contains("Something went wrong") && !page.contains("on purpose"), "{page}");
    }
}
