//! Codes and refresh tokens: what each gives, once, and to whom.

use ai_proxy::catalog::attendee;
use ai_proxy::catalog::event::{self, Draft};
use ai_proxy::catalog::oauth::{ACCESS_MS, CODE_MS, GRACE_MS};
use http::StatusCode;

use super::harness::{CHALLENGE, Client, Room, VERIFIER, at, refused, tokens};
use crate::harness::Portal;

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gives_tokens_that_call_and_are_refreshed() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let code = room.code(&client, Some("demo")).await;
    let resource = format!("{}/api/v1/mcp/demo/mcp", portal.url);
    let (access, refresh) = tokens(&client.redeem(&code, &[("resource", &resource)]).await);
    assert_eq!(room.call(&access).await, "ok");
    let (again, next) = tokens(&client.refresh(&refresh, &[("resource", &resource)]).await);
    assert_ne!((&access, &refresh), (&again, &next));
    assert_eq!(room.call(&again).await, "ok");
    assert_eq!(room.call(&access).await, "ok", "until it expires");
    assert_eq!(room.call(&refresh).await, "invalid_api_key", "it is for the token endpoint alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_worth_nothing_to_anybody_else() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let code = room.code(&client, Some("demo")).await;
    let other = "https://app.example/client.json";
    let another = VERIFIER.replace('d', "e");
    let elsewhere = format!("{}/api/v1/mcp/other", portal.url);
    for (set, status, error) in [
        (("code_verifier", ""), 400, "invalid_request"),
        (("code_verifier", &*another), 400, "invalid_grant"),
        (("code_verifier", CHALLENGE), 400, "invalid_grant"),
        (("code_verifier", "short"), 400, "invalid_grant"),
        (("redirect_uri", "http://localhost:1/callback"), 400, "invalid_grant"),
        (("redirect_uri", "https://evil.example/"), 400, "invalid_grant"),
        (("client_id", other), 400, "invalid_grant"),
        (("client_id", "somebody"), 401, "invalid_client"),
        (("client_id", ""), 401, "invalid_client"),
        (("resource", &*elsewhere), 400, "invalid_grant"),
        (("resource", "https://proxy.example/x"), 400, "invalid_grant"),
        (("code", ""), 400, "invalid_request"),
        (("code", "aipx_ac_unknown"), 400, "invalid_grant"),
        (("code", "\0"), 400, "invalid_grant"),
        (("grant_type", ""), 400, "invalid_request"),
        (("grant_type", "password"), 400, "unsupported_grant_type"),
    ] {
        refused(&client.redeem(&code, &[set]).await, status, error);
    }
    let twice = [("grant_type", "authorization_code"), ("code", &*code), ("code", &*code)];
    refused(&client.post("/token", &twice).await, 400, "invalid_request");
    tokens(&client.redeem(&code, &[("redirect_uri", "")]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_used_twice_ends_what_it_gave() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let code = room.code(&client, None).await;
    let (access, refresh) = tokens(&client.redeem(&code, &[]).await);
    assert_eq!(room.call(&access).await, "ok");
    refused(&client.redeem(&code, &[]).await, 400, "invalid_grant");
    room.comes_to(&access, "invalid_token").await;
    refused(&client.refresh(&refresh, &[]).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_lives_a_minute() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let (late, last) = (room.code(&client, None).await, room.code(&client, None).await);
    portal.pass(CODE_MS - 10_000);
    tokens(&client.redeem(&last, &[]).await);
    portal.pass(11_000);
    refused(&client.redeem(&late, &[]).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_windows_refresh_with_one_token_and_a_late_one_ends_them_all() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let (_, refresh) = tokens(&client.redeem(&room.code(&client, None).await, &[]).await);
    let windows = (0..5).map(|_| client.refresh(&refresh, &[]));
    let pairs: Vec<_> = futures_util::future::join_all(windows).await.iter().map(tokens).collect();
    for (access, refresh) in &pairs {
        assert_eq!(room.call(access).await, "ok");
        tokens(&client.refresh(refresh, &[]).await);
    }
    portal.pass(GRACE_MS + 5_000);
    refused(&client.refresh(&refresh, &[]).await, 400, "invalid_grant");
    room.comes_to(&pairs[0].0, "invalid_token").await;
    refused(&client.refresh(&pairs[4].1, &[]).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_its_clients_and_for_its_server() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let (_, one) = tokens(&client.redeem(&room.code(&client, Some("demo")).await, &[]).await);
    let (_, all) = tokens(&client.redeem(&room.code(&client, None).await, &[]).await);
    let other = "https://app.example/client.json";
    refused(&client.refresh(&one, &[("client_id", other)]).await, 400, "invalid_grant");
    refused(&client.refresh(&one, &[("client_id", "somebody")]).await, 401, "invalid_client");
    refused(&client.refresh("", &[]).await, 400, "invalid_request");
    let elsewhere = format!("{}/api/v1/mcp/other", portal.url);
    refused(&client.refresh(&one, &[("resource", &elsewhere)]).await, 400, "invalid_grant");
    // The public URL has changed since: the name decides.
    let moved = "https://before.example/api/v1/mcp/demo/mcp/?x";
    tokens(&client.refresh(&one, &[("resource", moved)]).await);
    tokens(&client.refresh(&all, &[("resource", &elsewhere)]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_nothing_and_the_end_of_the_event_does() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let (app, by) = (&portal.app, &room.workshop.by);
    let (access, refresh) = tokens(&client.redeem(&room.code(&client, None).await, &[]).await);
    let save = async |set: &dyn Fn(&mut Draft)| {
        let stored = event::get(&app.db, &app.vault, &by.owner_id, &room.event).await.unwrap();
        let mut draft = Draft::from(&stored);
        set(&mut draft);
        event::save(&app.db, &app.vault, by, &draft).await.unwrap();
    };
    save(&|draft| draft.active = false).await;
    room.comes_to(&access, "event_inactive").await;
    let (access, refresh) = tokens(&client.refresh(&refresh, &[]).await);
    assert_eq!(room.call(&access).await, "event_inactive");
    save(&|draft| draft.active = true).await;
    room.comes_to(&access, "ok").await;
    attendee::set_active(&app.db, by, &room.attendee, false).await.unwrap();
    room.comes_to(&access, "attendee_disabled").await;
    let (access, refresh) = tokens(&client.refresh(&refresh, &[]).await);
    attendee::set_active(&app.db, by, &room.attendee, true).await.unwrap();
    room.comes_to(&access, "ok").await;

    save(&|draft| draft.end = "2021-01-01T00:00".into()).await;
    room.comes_to(&access, "event_ended").await;
    refused(&client.refresh(&refresh, &[]).await, 400, "invalid_grant");
    save(&|draft| draft.end = "2099-12-31T18:00".into()).await;
    room.comes_to(&access, "ok").await;
    let (access, refresh) = tokens(&client.refresh(&refresh, &[]).await);

    attendee::new_key(&app.db, &app.vault, by, &room.attendee).await.unwrap();
    room.comes_to(&access, "invalid_token").await;
    refused(&client.refresh(&refresh, &[]).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_twelve_hours_a_client_refreshes_and_goes_on_calling() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let (access, refresh) = tokens(&client.redeem(&room.code(&client, None).await, &[]).await);
    at(&portal, ACCESS_MS + 120_000);
    assert_eq!(room.call(&access).await, "invalid_token");
    let (access, _) = tokens(&client.refresh(&refresh, &[]).await);
    assert_eq!(room.call(&access).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_ends_what_it_was_allowed_and_no_other() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let (access, refresh) = tokens(&client.redeem(&room.code(&client, None).await, &[]).await);
    let (other, _) = tokens(&client.redeem(&room.code(&client, None).await, &[]).await);
    let stranger = [("token", &*refresh), ("client_id", "https://app.example/client.json")];
    refused(&client.post("/revoke", &stranger).await, 400, "invalid_grant");
    refused(&client.post("/revoke", &[]).await, 400, "invalid_request");
    assert_eq!(room.call(&access).await, "ok");
    for token in ["aipx_rt_unknown", &refresh, &refresh] {
        let fields =
            [("token", token), ("token_type_hint", "refresh_token"), ("client_id", &client.id)];
        assert_eq!(client.post("/revoke", &fields).await.status, StatusCode::OK);
    }
    room.comes_to(&access, "invalid_token").await;
    refused(&client.refresh(&refresh, &[]).await, 400, "invalid_grant");
    assert_eq!(room.call(&other).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slowed_down_and_a_good_token_is_not() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client: Client = room.client().await;
    let (_, refresh) = tokens(&client.redeem(&room.code(&client, None).await, &[]).await);
    for n in 0..300 {
        let guess = format!("aipx_rt_{n}");
        refused(&client.refresh(&guess, &[]).await, 400, "invalid_grant");
    }
    let answer = client.refresh("aipx_rt_300", &[]).await;
    refused(&answer, 429, "too_many_requests");
    assert!(answer.headers.contains_key("retry-after"));
    tokens(&client.refresh(&refresh, &[]).await);
}
