//! Every path of the portal, on one screen. The router serves these and no others, so that a
//! test can try each of them.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use http::Method;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;

use super::admin::events::{self, attendees, metrics, preflight, room};
use super::admin::{
    account, audit, backup, capacity, entra, held, home, owners, reports, resources, setup,
    sign_in, tokens,
};
use super::api::error::ApiError;
use super::attendee::{authorize, yours};
use super::confirmed::Guarded;
use super::error::PageError;
use super::front_end::Refusal;
use super::intake::{self, Crowd, Door, Gate};
use super::route::{self, Route, at};
use super::{Site, api, assets, attendee, fallback, front_end, oauth, page};
use crate::oauth as protocol;
use crate::oauth::error::OauthError;

/// For anybody.
fn visitors() -> Vec<Route> {
    vec![
        at("/assets/{name}").get(assets::serve),
        // Attendees
        at("/").get(attendee::front::show).post(attendee::front::submit),
        at("/claim").get(attendee::card::show).post(attendee::card::submit),
        at("/event/{id}").get(attendee::event::show),
        at("/event/{id}/join").post(attendee::join::submit),
        at("/event/{id}/github").get(attendee::github::begin),
        at("/event/{id}/gateway").post(attendee::gateway::submit),
        at("/github/callback").get(attendee::github::callback),
        at("/event/{id}/live").get(attendee::person::live),
        at("/event/{id}/key").get(yours::ask_new_key).post(yours::new_key),
        at("/event/{id}/sign-out").get(yours::ask_sign_out).post(yours::sign_out_everywhere),
        at("/event/{id}/try/{deployment}").get(attendee::tryout::show).post(attendee::tryout::call),
        at("/event/{id}/continue").get(attendee::continued::show).post(attendee::continued::make),
        at("/event/{id}/not-me").post(attendee::continued::not_me),
        at("/event/{id}/leave").post(yours::leave),
        at("/event/{id}/env").get(yours::env_file),
        at("/event/{id}/mcp.json").get(yours::mcp_json),
        at("/event/{id}/apps").post(yours::disconnect),
        at(protocol::AUTHORIZE).get(authorize::show).post(authorize::submit),
        // Who a person is
        at("/admin/sign-in").get(sign_in::show).post(sign_in::submit),
        at("/admin/sign-out").post(sign_in::sign_out),
        at("/admin/sign-in/entra").get(entra::begin),
        at("/admin/sign-in/entra/callback").get(entra::callback),
        at("/admin/setup/{token}").get(setup::show).post(setup::submit),
        at("/admin/setup/{token}/entra").get(entra::begin_invited),
    ]
}

/// For MCP clients that sign in, served where they may.
fn clients() -> Vec<Route> {
    vec![
        at(protocol::SERVER_METADATA).get(oauth::server_metadata),
        at(protocol::RESOURCE_METADATA).get(oauth::resource_metadata),
        at("/.well-known/oauth-protected-resource/{*path}").get(oauth::resource_metadata),
        at(protocol::REGISTER).post(oauth::register),
        at(protocol::TOKEN).post(oauth::token),
        at(protocol::REVOKE).post(oauth::revoke),
    ]
}

/// For owners who are signed in.
fn owners() -> Vec<Route> {
    vec![
        at("/admin/held/{id}").get(held::show).post(held::discard),
        at("/admin/confirm").get(entra::begin_confirming),
        at("/admin/tokens").get(tokens::show).post(tokens::create).kept_to_ask(tokens::New::DOES),
        at("/admin/tokens/{id}/revoke").get(tokens::ask_revoke).post(tokens::revoke),
        at("/admin/account").get(account::show),
        at("/admin/account/password").post(account::change_password).kept("change your password"),
        at("/admin/account/microsoft").post(entra::begin_adding),
        at("/admin/account/sessions").post(account::end_others),
        at("/admin").get(home::show),
        at("/admin/audit").get(audit::show),
        at("/admin/audit/sign-ins").get(audit::sign_ins::show),
        at("/admin/backup").get(backup::show),
        at("/admin/backup/file").post(backup::download).kept_to_ask(backup::Wish::DOES),
        at("/admin/backup/restore")
            .post(backup::restore::upload)
            .limit(backup::restore::upload_limit()),
        at("/admin/backup/restore/{id}")
            .get(backup::restore::preview)
            .post(backup::restore::confirm),
        at("/admin/backup/restore/{id}/discard").post(backup::restore::discard),
        at("/admin/resources").get(resources::show),
        at("/admin/resources/new")
            .get(resources::blank)
            .post(resources::create)
            .kept("save the resource"),
        at("/admin/resources/test").post(resources::test).kept("test the connection"),
        at("/admin/resources/{id}")
            .get(resources::edit)
            .post(resources::update)
            .kept("save the resource"),
        at("/admin/resources/{id}/duplicate").get(resources::duplicate),
        at("/admin/resources/{id}/active").post(resources::set_active),
        at("/admin/resources/{id}/delete").get(resources::ask_delete).post(resources::delete),
        at("/admin/capacity").get(capacity::show),
        // Events
        at("/admin/events").get(events::show),
        at("/admin/events/new").get(events::blank).post(events::create).kept("save the event"),
        at("/admin/events/preview").post(events::preview).kept("show the preview"),
        at("/admin/events/{id}").get(events::edit).post(events::update).kept("save the event"),
        at("/admin/events/{id}/duplicate").get(events::duplicate),
        at("/admin/events/{id}/delete").get(events::ask_delete).post(events::delete),
        // One event
        at("/admin/events/{id}/attendees")
            .get(attendees::show)
            .post(attendees::issue)
            .limit(attendees::upload_limit()),
        at("/admin/events/{id}/attendees/cards")
            .get(attendees::cards::ask_replace)
            .post(attendees::cards::make),
        at("/admin/events/{id}/attendees/cards.csv")
            .post(attendees::cards::csv)
            .kept_to_ask(attendees::cards::OnSheet::DOES),
        at("/admin/events/{id}/attendees/cards/again")
            .post(attendees::cards::again)
            .kept_to_ask(attendees::cards::Again::DOES),
        at("/admin/events/{id}/attendees/deleted").post(attendees::deleted::let_in_again),
        at("/admin/events/{id}/attendees/{attendee}").get(attendees::person::show),
        at("/admin/events/{id}/attendees/{attendee}/activity").post(attendees::person::activity),
        at("/admin/events/{id}/attendees/{attendee}/key")
            .get(attendees::person::ask_new_key)
            .post(attendees::person::new_key),
        at("/admin/events/{id}/attendees/{attendee}/cap")
            .post(attendees::person::cap)
            .kept("change the attendee's daily cap"),
        at("/admin/events/{id}/attendees/{attendee}/delete")
            .get(attendees::person::ask_delete)
            .post(attendees::person::delete),
        at("/admin/events/{id}/preflight").get(preflight::show).post(preflight::start),
        at("/admin/events/{id}/room").get(room::show),
        at("/admin/events/{id}/room/activity").post(room::activity),
        at("/admin/events/{id}/room/end").post(room::end),
        at("/admin/events/{id}/room/cap").post(room::cap),
        at("/admin/events/{id}/room/registration").post(room::registration),
        at("/admin/events/{id}/room/resources/{resource_id}").post(room::resource),
        at("/admin/events/{id}/metrics").get(metrics::show),
        at("/admin/events/{id}/metrics/{table}").get(metrics::download),
        // All events
        at("/admin/reports").get(reports::show),
        at("/admin/reports/events.csv").get(reports::file),
        // For administrators
        at("/admin/owners")
            .get(owners::show)
            .post(owners::invite)
            .kept_to_ask(owners::Invitation::DOES),
        at("/admin/owners/{id}/link").post(owners::link),
        at("/admin/owners/{id}/role").get(owners::ask_role).post(owners::set_role),
        at("/admin/owners/{id}/deactivate").get(owners::ask_deactivate).post(owners::deactivate),
        at("/admin/owners/{id}/reactivate").post(owners::reactivate),
    ]
}

/// For front ends that others host.
fn front_ends() -> Vec<Route> {
    vec![
        at("/api/v1/attendee/event/{id}").get(front_end::read),
        at("/api/v1/attendee/event/{id}/").get(front_end::read),
        at("/api/v1/attendee/event/{id}/register").post(front_end::register),
    ]
}

/// Paths beside the API's, at which programs get its own "not found".
fn beside_api() -> Vec<Route> {
    vec![at("/api/admin/{*rest}").any(api::error::not_found)]
}

/// Each method and path that the router serves.
pub fn all() -> Vec<(Method, String)> {
    let calls =
        api::routes().into_iter().map(|(method, path)| (method, api::BASE.to_owned() + &path));
    let pages = [visitors(), clients(), owners(), front_ends(), beside_api()].into_iter().flatten();
    pages.flat_map(Route::list).chain(calls).collect()
}

pub fn router(site: Site) -> anyhow::Result<Router> {
    let mut same_site = CsrfLayer::new();
    if let Some(url) = &site.config.public_url {
        let origin = url.origin().ascii_serialization();
        same_site = same_site.add_trusted_origin(origin).context("--public-url")?;
    }
    // Where one is no web page's, such as an editor's, the layer does not know it.
    let trust =
        |layer: CsrfLayer, origin| layer.clone().add_trusted_origin(origin).unwrap_or(layer);
    let of_front_ends = site.config.allowed_origins.iter().fold(same_site.clone(), trust);
    let of_front_ends = of_front_ends.with_rejection_response(front_end::cross_site as fn(_) -> _);
    let same_site = same_site.with_rejection_response(fallback::cross_site as fn(_) -> _);
    let gate = Arc::new(Gate::default());
    let door = |crowd| Door::new(&site, &gate, crowd);
    let visitors_door = from_fn_with_state(door(Crowd::Visitors), intake::admit::<PageError>);
    let clients_door = from_fn_with_state(door(Crowd::Visitors), intake::admit::<OauthError>);
    let owners_door = from_fn_with_state(door(Crowd::Owners), intake::admit::<PageError>);
    let front_ends_door = from_fn_with_state(door(Crowd::Visitors), intake::admit::<Refusal>);
    let programs_door = from_fn_with_state(door(Crowd::Programs), intake::admit::<ApiError>);
    let holder = from_fn_with_state(held::Holder::new(&site, &owners()), held::hold_or_send);
    let owners = route::router(owners()).route_layer(holder).layer(intake::owners_form());
    let router = route::router(visitors())
        .route_layer(visitors_door)
        .merge(owners.route_layer(owners_door))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(map_response(fallback::framed))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(same_site)
        // After what guards cookies: they take none.
        .merge(oauth::for_any_origin(route::router(clients()).route_layer(clients_door)))
        .nest(api::BASE, api::router()?.route_layer(programs_door))
        .merge(
            route::router(front_ends())
                .route_layer(front_ends_door)
                .method_not_allowed_fallback(front_end::method_not_allowed)
                .layer(CatchPanicLayer::custom(front_end::panicked))
                .layer(of_front_ends),
        )
        .merge(route::router(beside_api()))
        .layer(axum::middleware::from_fn(fallback::without_nul))
        .layer(from_fn_with_state(site.clone(), page::finish))
        .with_state(site);
    Ok(router)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
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
