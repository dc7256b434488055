//! Who is let in, what bodies are taken, and that owners are kept apart.

use ai_proxy::catalog::owner::{self, api_token, manage};
use ai_proxy::clock::now_ms;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{BASE, Program, event, resource};
use crate::harness::Portal;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_that_is_good_opens_it() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let program = Program::of(&portal, "Ada").await;
    let me = program.get("/owner").await.done();
    assert_eq!((&me["name"], &me["token"]), (&json!("Ada"), &json!("CI")));

    // A browser's cookies are nothing here.
    let cookies = ada.get(&format!("{BASE}/owner")).await;
    assert_eq!(cookies.status, StatusCode::UNAUTHORIZED);
    assert_eq!(cookies.headers["www-authenticate"], "Bearer");
    assert!(cookies.body.contains("missing_token"), "{}", cookies.body);
    for token in ["", "x", "aip_", &program.token[1..], &format!("{}0", program.token)] {
        let answer = Program { url: portal.url.clone(), token: token.to_owned() };
        assert_eq!(answer.get("/owner").await.status, 401, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_when_it_expires_is_revoked_or_its_owner_is_deactivated() {
    let portal = Portal::start().await;
    portal.administrator("Root").await;
    let db = &portal.app.db;
    let root = owner::find(db, "Root").await.unwrap().unwrap();

    let program = Program::of(&portal, "Ada").await;
    let ada = owner::find(db, "Ada").await.unwrap().unwrap();
    program.get("/owner").await.done();
    manage::set_active(db, &root.actor(now_ms()), &ada, false).await.unwrap();
    assert_eq!(program.get("/owner").await.status, 401);
    manage::set_active(db, &root.actor(now_ms()), &ada, true).await.unwrap();
    assert_eq!(program.get("/owner").await.status, 401, "it does not come back");

    let program = Program::of(&portal, "Ada").await;
    sqlx::query("update api_token set expires_at = 1").execute(db.writer()).await.unwrap();
    assert_eq!(program.get("/owner").await.status, 401);
    let id = &api_token::list(db, &ada.id).await.unwrap()[0].id;
    api_token::revoke(db, &ada.actor(now_ms()), id).await.unwrap();

    let program = Program::of(&portal, "Ada").await;
    let id = &api_token::list(db, &ada.id).await.unwrap()[0].id;
    api_token::revoke(db, &ada.actor(now_ms()), id).await.unwrap();
    assert_eq!(program.get("/owner").await.status, 401);

    // A forgotten password ends them, too.
    let program = Program::of(&portal, "Ada").await;
    program.get("/owner").await.done();
    portal.owner("Ada").await;
    assert_eq!(program.get("/owner").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_slowed_down_and_right_ones_are_not() {
    let portal = Portal::start().await;
    let right = Program::of(&portal, "Ada").await;
    let wrong = Program { url: portal.url.clone(), token: "aip_wrong".to_owned() };
    for _ in 0..60 {
        assert_eq!(wrong.get("/owner").await.status, 401);
    }
    let slowed = wrong.get("/owner").await;
    assert!(slowed.refusal().starts_with("429 \"too_many_attempts\""), "{}", slowed.refusal());
    right.get("/owner").await.done();
    // People behind the same address sign in all the while.
    portal.administrator("Grace").await;
    portal.visitor().sign_in("Grace", crate::harness::PASSWORD).await.redirects_to("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_taken_is_told_by_its_field_and_not_quoted() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let refused = async |body: Value| program.post("/resources", body).await.refusal();
    insta::assert_snapshot!(refused(json!({"colour": "red"})).await, @r#"422 "invalid": "colour: is no field here; expected one of `deployment`, `name`, `type`, `endpoint`, `auth`, `key`, `region`, `active`""#);
    insta::assert_snapshot!(refused(json!({"key": 8675309})).await, @r#"422 "invalid": "key: must be text""#);
    insta::assert_snapshot!(refused(json!({"active": "s3cret"})).await, @r#"422 "invalid": "active: must be true or false""#);
    insta::assert_snapshot!(refused(json!([])).await, @r#"422 "invalid": "body: must be an object""#);
    insta::assert_snapshot!(refused(json!({})).await, @r#"422 "invalid": "deployment: is required""#);
    insta::assert_snapshot!(refused(json!({"type": "x"})).await, @r#"422 "invalid": "type: must be one of mcp-server, foundry-model, foundry-toolkit, foundry-agent, azure-ai-search""#);

    // PostgreSQL takes it in no text.
    let nul = json!({"resources": ["a", "\0"]});
    insta::assert_snapshot!(program.post("/events", nul).await.refusal(), @r#"422 "invalid": "resources[1]: holds a NUL character""#);
    insta::assert_snapshot!(refused(json!({"deployment": "a", "name": "a\0", "type": "mcp-server", "endpoint": "a"})).await, @r#"422 "invalid": "name: holds a NUL character""#);
    let path = program.event().await + "/attendees";
    let nul = json!({"names": ["Ada", "\0"]});
    insta::assert_snapshot!(program.post(&path, nul).await.refusal(), @r#"422 "invalid": "names[1]: holds a NUL character""#);

    // Nor is a list taken for the fields in their order.
    let issued = program.post(&path, json!({"count": 1})).await.done();
    let one = format!("{path}/{}", issued["items"][0]["id"].as_str().unwrap());
    let list = program.patch(&one, json!([false, 5])).await.refusal();
    insta::assert_snapshot!(list, @r#"422 "invalid": "body: must be an object""#);

    let url = format!("{}{BASE}/resources", portal.url);
    let send = async |kind: &str, body: String| {
        let request = Client::new().post(&url).bearer_auth(&program.token);
        request.header("content-type", kind).body(body).send().await.unwrap().status()
    };
    let status = send("application/json; charset=utf-8", "{\"active\": ".into()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let status = send("text/plain", resource().to_string()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    assert_eq!(send("application/json", large).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_owners_is_neither_listed_nor_linked() {
    let portal = Portal::start().await;
    let (ada, eve) = (Program::of(&portal, "Ada").await, Program::of(&portal, "Eve").await);
    let (resource_path, event_path) = (ada.resource().await, ada.event().await);
    let own = eve.event().await;
    assert_eq!(eve.get("/resources").await.done()["items"], json!([]));
    assert_eq!(eve.get("/events").await.done()["items"].as_array().unwrap().len(), 1);

    // Nor can she link what is his.
    let id = resource_path.rsplit('/').next().unwrap();
    let answer = eve.patch(&own, json!({"resources": [id]})).await;
    assert_eq!(answer.body["error"]["field"], "resources", "{}", answer.body);
    let mut taken = event();
    taken["id"] = json!(event_path.rsplit('/').next().unwrap());
    let answer = eve.post("/events", taken).await;
    assert!(answer.refusal().contains("is taken"), "{}", answer.refusal());
    assert_eq!(ada.get(&event_path).await.done()["name"], "Demo");
}
