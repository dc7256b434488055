//! Events by the API: their fields, the controls of the room, the figures, the trail.

use std::time::Duration;

use ai_proxy::catalog::event::purge;
use ai_proxy::catalog::usage::{self, Batch, Figures, UsageKey};
use ai_proxy::clock;
use ai_proxy::clock::now_ms;
use serde_json::json;

use super::{Program, event};
use crate::harness::Portal;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_made_changed_and_deleted() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let mut fields = event();
    fields["id"] = json!("a1b2-c3d4");
    fields["shared_code"] = json!("letmein42");
    let made = program.post("/events", fields.clone()).await.done();
    assert_eq!((&made["id"], &made["change"]), (&json!("a1b2-c3d4"), &json!("created")));
    assert_eq!((&made["starts_at"], &made["burst"]), (&json!("2020-01-01T08:00:00Z"), &json!(60)));
    assert!(made["has_shared_code"] == true && !made.to_string().contains("letmein42"), "{made}");
    let twice = program.post("/events", fields).await;
    insta::assert_snapshot!(twice.refusal(), @r#"409 "conflict": "the event id a1b2-c3d4 is taken; use another""#);

    let path = "/events/a1b2-c3d4";
    let changed = program.patch(path, json!({"daily_request_cap": 5})).await.done();
    assert_eq!((&changed["daily_request_cap"], &changed["name"]), (&json!(5), &made["name"]));
    assert_eq!(changed["has_shared_code"], true);
    let registration = |event: &serde_json::Value| event["registration"].clone();
    assert_eq!(registration(&made), "shared-code");
    let closed = program.patch(path, json!({"registration": "closed"})).await.done();
    assert_eq!(
        (registration(&closed), &closed["has_shared_code"]),
        (json!("closed"), &json!(true))
    );
    let both = program.patch(path, json!({"registration": "github, shared-code"})).await.done();
    assert_eq!(registration(&both), "shared-code,github");
    let odd = program.patch(path, json!({"registration": "closed,github"})).await;
    insta::assert_snapshot!(odd.refusal(), @r#"422 "invalid": "registration: must be shared-code, github, both with a comma between them, or closed""#);
    let same = program.patch(path, json!({"shared_code": "letmein42"})).await.done();
    assert_eq!(same["change"], "unchanged");
    let without = program.patch(path, json!({"shared_code": null})).await.done();
    assert_eq!(without["has_shared_code"], false);
    let renamed = program.patch(path, json!({"id": "ffff-0000"})).await;
    insta::assert_snapshot!(renamed.refusal(), @r#"422 "invalid": "id: cannot be changed""#);
    let wrong = program.patch(path, json!({"time_zone": "Mars"})).await;
    assert_eq!(wrong.body["error"]["field"], "time_zone", "{}", wrong.body);
    let missing = program.post("/events", json!({"name": "x"})).await;
    insta::assert_snapshot!(missing.refusal(), @r#"422 "invalid": "description: is required""#);

    assert_eq!(program.delete(path).await.status, 204);
    assert_eq!(program.get(path).await.status, 404);

    let mut fields = event();
    fields["id"] = json!("a1b2-c3d4");
    let early = program.post("/events", fields.clone()).await;
    assert!(early.refusal().contains("rows are still being removed"), "{}", early.body);
    let db = &portal.app.db;
    while purge::step(db, clock::now_ms() + 60_000).await.unwrap() {}
    let theirs = Program::of(&portal, "Grace").await;
    let taken = theirs.post("/events", fields.clone()).await;
    insta::assert_snapshot!(taken.refusal(), @r#"409 "conflict": "the event id a1b2-c3d4 is taken; use another""#);
    assert_eq!(program.post("/events", fields).await.done()["change"], "created");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_read_are_named_and_mended() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let fields =
        json!({"deployment": "one", "endpoint": "http://127.0.0.1:9/mcp", "key": "secret"});
    let id = program.post("/resources", fields.clone()).await.done()["id"].clone();
    let mut event = event();
    event["resources"] = json!([id]);
    let linked = program.post("/events", event).await.done()["id"].clone();
    sqlx::query("update resource set endpoint_sealed = 'v1.x'")
        .execute(portal.app.db.writer())
        .await
        .unwrap();

    let list = program.get("/resources").await.done();
    assert_eq!((&list["items"], &list["unreadable"][0]["name"]), (&json!([]), &json!("one")));
    let path = format!("/resources/{}", id.as_str().unwrap());
    let refused = program.get(&path).await;
    assert!(refused.refusal().contains("enter its endpoint URL"), "{}", refused.body);
    let event = format!("/events/{}", linked.as_str().unwrap());
    assert_eq!(
        program.patch(&event, json!({"name": "Renamed"})).await.done()["resources"],
        json!([id])
    );
    assert_eq!(program.patch(&path, json!({"region": "x"})).await.status, 422);
    assert_eq!(program.patch(&path, fields).await.done()["change"], "updated");
    assert!(program.get("/resources").await.done()["unreadable"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_linked_in_their_order() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let fields = json!({"deployment": name, "endpoint": "http://127.0.0.1:9/mcp"});
        ids.push(program.post("/resources", fields).await.done()["id"].clone());
    }
    let path = program.event().await;
    for order in [[&ids[1], &ids[0]], [&ids[0], &ids[1]]] {
        let linked = program.patch(&path, json!({"resources": order})).await.done();
        assert_eq!(linked["resources"], json!(order));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_is_paused_resumed_and_extended_once() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let path = program.event().await;
    for (verb, active, change) in
        [("pause", false, "updated"), ("pause", false, "unchanged"), ("resume", true, "updated")]
    {
        let done = program.post(&format!("{path}/{verb}"), json!({})).await.done();
        assert_eq!((&done["active"], &done["change"]), (&json!(active), &json!(change)));
    }
    let before = program.get(&path).await.done()["ends_at"].clone();
    let extend = format!("{path}/extend");
    let wish = json!({"minutes": 30, "ends_at": before});
    assert_eq!(program.post(&extend, wish.clone()).await.done()["end"], "2099-01-01T18:30");
    let again = program.post(&extend, wish).await;
    insta::assert_snapshot!(again.refusal(), @r#"409 "conflict": "the end was changed meanwhile, to 2099-01-01 18:30; look at it, then try again""#);
    let long = program.post(&extend, json!({"minutes": 0})).await;
    insta::assert_snapshot!(long.refusal(), @r#"422 "invalid": "minutes: must be from 1 to 1440""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_added_up_and_the_trail_names_the_token() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let path = program.event().await;
    let usage = program.get(&format!("{path}/usage")).await.done();
    assert_eq!((&usage["requests"], &usage["lines"]), (&json!(0), &json!([])));
    for (tool, calls) in [("add", 2), ("echo", 1)] {
        let key = UsageKey {
            event_id: path.trim_start_matches("/events/").into(),
            attendee_id: "somebody".into(),
            resource_id: "gone".into(),
            operation: "tools/call".into(),
            name: tool.into(),
            minute: 60_000,
        };
        let mut figures = Figures { prompt_tokens: 7, completion_tokens: 9, ..Figures::default() };
        (0..calls).for_each(|n| figures.add_call(Duration::from_millis(5), n == 1));
        let mut batch = Batch::new();
        batch.usage = [(key, figures)].into();
        usage::flush(&portal.app.db, &batch, now_ms()).await.unwrap();
    }
    let usage = program.get(&format!("{path}/usage")).await.done();
    assert_eq!((&usage["requests"], &usage["errors"]), (&json!(3), &json!(1)));
    let add = json!({
        "deployment": "(deleted)", "operation": "tools/call", "name": "add", "requests": 2,
        "errors": 1, "prompt_tokens": 7, "completion_tokens": 9,
    });
    assert_eq!((&usage["lines"][0], &usage["lines"][1]["name"]), (&add, &json!("echo")));

    let trail = program.get("/audit").await.done();
    let newest = &trail["items"][0];
    assert_eq!(newest["actor"], "Ada (token CI)");
    assert_eq!((&newest["action"], &newest["detail"]), (&json!("created"), &json!("Demo")));
    let older = format!("/audit?before={}", newest["id"].as_str().unwrap());
    assert_eq!(program.get(&older).await.done()["items"][0]["action"], "made an API token");
    let odd = program.get("/audit?colour=red").await;
    assert_eq!(odd.status, 422);
}
