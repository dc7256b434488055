//! Attendees by the API.

use ai_proxy::catalog::{attendee, event, owner};
use ai_proxy::clock::now_ms;
use serde_json::json;

use super::Program;
use crate::harness::Portal;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_issued_in_bulk_and_shown_once() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let path = format!("{}/attendees", program.event().await);
    let made = program.post(&path, json!({"count": 5, "names": ["Grace"]})).await;
    assert_eq!(made.status, 201);
    let made = made.done();
    let made = made["items"].as_array().unwrap();
    assert_eq!((made.len(), &made[0]["display_name"]), (5, &json!("Grace")));

    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = program.get(&format!("{path}?limit=2{next}")).await.done();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2 && !page.to_string().contains("api_key"), "{page}");
        seen.extend(items.iter().map(|item| item["user_id"].clone()));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={after}");
    }
    let issued: Vec<_> = made.iter().map(|item| item["user_id"].clone()).collect();
    assert_eq!(seen, issued);

    // The last one of a page leaves meanwhile.
    let page = program.get(&format!("{path}?limit=2")).await.done();
    let (last, after) = (page["items"][1]["id"].as_str(), page["next"].as_str().unwrap());
    assert_eq!(program.delete(&format!("{path}/{}", last.unwrap())).await.status, 204);
    let page = program.get(&format!("{path}?limit=2&after={after}")).await.done();
    let rest: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|item| &item["user_id"]).collect();
    assert_eq!(rest, issued[2..4].iter().collect::<Vec<_>>());

    assert_eq!(program.get(&format!("{path}?limit=0")).await.body["error"]["field"], "limit");
    assert_eq!(program.get(&format!("{path}?after=x")).await.body["error"]["field"], "after");
    assert_eq!(program.post(&path, json!({})).await.body["error"]["field"], "count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_switched_off_capped_replaced_and_deleted() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let all = format!("{}/attendees", program.event().await);
    let made = program.post(&all, json!({"count": 1})).await.done();
    let (id, key) = (made["items"][0]["id"].as_str().unwrap(), &made["items"][0]["api_key"]);
    let path = format!("{all}/{id}");

    let changed = program.patch(&path, json!({"active": false, "daily_request_cap": 7})).await;
    let changed = changed.done();
    assert_eq!((&changed["active"], &changed["daily_request_cap"]), (&json!(false), &json!(7)));
    let kept = program.patch(&path, json!({"active": true})).await.done();
    assert_eq!(kept["daily_request_cap"], 7);
    let back = program.patch(&path, json!({"daily_request_cap": null})).await.done();
    assert_eq!((&back["active"], &back["daily_request_cap"]), (&json!(true), &json!(null)));
    let refused = program.patch(&path, json!({"active": false, "daily_request_cap": 0})).await;
    assert_eq!(refused.body["error"]["field"], "daily_request_cap");
    assert_eq!(program.get(&path).await.done()["active"], true, "nothing was changed");

    let new = program.post(&format!("{path}/key"), json!({})).await.done();
    assert!(
        new["api_key"].as_str().unwrap().starts_with("aik_") && new["api_key"] != *key,
        "{new}"
    );
    assert_eq!(program.delete(&path).await.status, 204);
    assert_eq!(program.get(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_deleted_after_joining_by_code_is_listed_and_let_in_again() {
    let portal = Portal::start().await;
    let (ada, eve) = (Program::of(&portal, "Ada").await, Program::of(&portal, "Eve").await);
    let event_path = ada.event().await;
    let code = json!({"shared_code": "Welcome2026"});
    ada.patch(&event_path, code).await.done();
    let (db, vault) = (&portal.app.db, &portal.app.vault);
    let owner = owner::find(db, "Ada").await.unwrap().unwrap();
    let id = event_path.rsplit('/').next().unwrap();
    let event = event::get(db, vault, &owner.id, id).await.unwrap();
    attendee::join_by_shared_code(db, vault, &event, b"Grace Hopper", now_ms()).await.unwrap();

    let all = format!("{event_path}/attendees");
    let joined = ada.get(&all).await.done();
    let attendee_id = joined["items"][0]["id"].as_str().unwrap();
    assert_eq!(ada.delete(&format!("{all}/{attendee_id}")).await.status, 204);
    let deleted = ada.get(&format!("{all}/deleted")).await.done();
    let user_id = deleted["items"][0]["user_id"].as_str().unwrap();
    assert_eq!(joined["items"][0]["user_id"], user_id);
    assert_eq!(deleted["items"][0]["used"], 0);
    assert!(deleted["items"][0]["day"].as_str().unwrap().ends_with("T00:00:00Z"), "{deleted}");

    assert_eq!(eve.get(&format!("{all}/deleted")).await.status, 404);
    let let_in = format!("{all}/deleted/{user_id}/let-in");
    assert_eq!(eve.post(&let_in, json!({})).await.status, 404);
    assert_eq!(ada.post(&let_in, json!({})).await.status, 204);
    assert_eq!(ada.post(&let_in, json!({})).await.status, 404, "once");
    assert_eq!(ada.get(&format!("{all}/deleted")).await.done()["items"], json!([]));
    assert_eq!(ada.get(&all).await.done()["items"][0]["user_id"], user_id);
}
