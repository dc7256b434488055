//! What the proxy says of itself, of an event and of the caller's usage: the
//! small JSON answers beside the pass-through.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::call::Call;
use super::error::ProxyError;
use super::own_usage::own_usage;
use super::plane::DataPlane;
use super::response_body::Body;
use crate::catalog::event::Event;
use crate::catalog::resource::{Resource, ResourceType};
use crate::clock;
use crate::net::base_url::BaseUrl;

/// The address of types whose clients have one for all deployments.
const API: &str = "/api/v1";

/// `/healthz`: the process is alive.
pub(super) fn healthy() -> Response<Body> {
    answer(StatusCode::OK, &json!({"status": "ok"}))
}

/// `/readyz`: it takes new work.
pub(super) fn ready(plane: &DataPlane) -> Result<Response<Body>, ProxyError> {
    if plane.is_draining() {
        return Err(ProxyError::ShuttingDown);
    }
    Ok(answer(StatusCode::OK, &json!({"status": "ready"})))
}

/// POST `/eventinfo`: the caller's event.
pub(super) async fn caller_event(call: &mut Call<'_>) -> Result<Response<Body>, ProxyError> {
    let caller = call.authenticate(None).await?;
    let event = &caller.event;
    Ok(answer(
        StatusCode::OK,
        &json!({
            "is_authorized": true,
            "max_token_cap": event.max_token_cap,
            "event_code": event.name,
            "organizer_name": event.organizer_name,
            "organizer_email": event.organizer_email,
            "capabilities": capabilities(event),
        }),
    ))
}

/// GET `/event/{id}`: an event as anybody may see it. Whoever asks for ids that are none
/// is slowed down like one who guesses keys.
pub(super) fn event(call: &Call<'_>, id: &str) -> Result<Response<Body>, ProxyError> {
    let plane = &call.worker.plane;
    let snapshot = plane.snapshot.load();
    let event = snapshot.events.get(id).filter(|event| !event.is_draft());
    let event = event.ok_or_else(|| plane.keys.unknown_event(&call.head.headers, call.peer))?;
    let base = plane.config.base_url(call.peer, &call.head.uri, &call.head.headers);
    let mcp = endpoints(event, ResourceType::McpServer, &base);
    let toolkit = endpoints(event, ResourceType::FoundryToolkit, &base);
    Ok(answer(
        StatusCode::OK,
        &json!({
            "event_id": event.id,
            "event_code": event.name,
            "organizer_name": event.organizer_name,
            "event_markdown": event.description,
            "start_timestamp": event.start_local,
            "end_timestamp": event.end_local,
            "time_zone_label": event.time_zone,
            "time_zone_offset": offset_minutes(event),
            "proxy_url": base.join(API),
            "foundry_toolkit_endpoints": toolkit,
            "mcp_server_endpoints": mcp,
            "capabilities": capabilities(event),
        }),
    ))
}

/// GET `/usage`: what the caller has used of today's cap, and for what. It asks the store,
/// so it takes a place and a turn like a call; it uses up nothing of the cap.
pub(super) async fn usage(call: &mut Call<'_>) -> Result<Response<Body>, ProxyError> {
    let caller = call.authenticate(None).await?;
    let _open = caller.open()?;
    call.await_turn(&caller, 1).await?;
    let plane = call.worker.plane.clone();
    let attendee_id = caller.live.attendee_id.clone();
    let read = async move { own_usage(&plane, &attendee_id).await };
    let plane = &call.worker.plane;
    let usage = plane.control.ask(read).await?.ok_or_else(|| plane.why_ended(&caller))?;
    let lines: Vec<Value> = (usage.operations.iter())
        .map(|line| {
            json!({
                "resource": line.deployment,
                "operation": line.operation,
                "name": line.name,
                "requests": line.requests,
                "errors": line.errors,
            })
        })
        .collect();
    let refusals: Vec<Value> = (usage.refusals.iter())
        .map(|refusal| json!({"code": refusal.code, "at": clock::rfc3339(refusal.at)}))
        .collect();
    Ok(answer(
        StatusCode::OK,
        &json!({
            "used": usage.used,
            "limit": usage.limit,
            "resets_at": clock::rfc3339(usage.resets_at),
            "usage": lines,
            "last_refusals": refusals,
        }),
    ))
}

fn usable(event: &Event) -> impl Iterator<Item = &Arc<Resource>> {
    event.resources.iter().filter(|resource| resource.active)
}

fn capabilities(event: &Event) -> BTreeMap<&'static str, Vec<&str>> {
    let mut names: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for resource in usable(event) {
        names.entry(resource.kind.as_str()).or_default().push(&resource.deployment);
    }
    names
}

fn endpoints(event: &Event, kind: ResourceType, base: &BaseUrl) -> Vec<Value> {
    usable(event)
        .filter(|resource| resource.kind == kind)
        .map(|resource| {
            let name = &*resource.deployment;
            let path = kind.client_path(name).unwrap_or_else(|| API.to_owned());
            json!({"deployment_name": name, "endpoint_url": base.join(&path)})
        })
        .collect()
}

/// Minutes east of UTC in the event's zone when it starts.
fn offset_minutes(event: &Event) -> i32 {
    let Ok(zone) = jiff::tz::TimeZone::get(&event.time_zone) else { return 0 };
    jiff::Timestamp::from_millisecond(event.starts_at)
        .map_or(0, |start| zone.to_offset(start).seconds() / 60)
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    response
}
