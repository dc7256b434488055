//! Resources by the API.

use serde_json::json;

use super::{Program, resource};
use crate::harness::Portal;

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_made_changed_and_deleted_and_its_key_never_shown() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let made = program.post("/resources", resource()).await;
    assert_eq!(made.status, 201);
    let made = made.done();
    assert_eq!(
        made,
        json!({
            "change": "created", "id": made["id"], "deployment": "demo", "name": "demo",
            "type": "mcp-server", "endpoint": "http://127.0.0.1:9/mcp", "auth": "api-key",
            "has_key": true, "region": "", "active": true,
        })
    );
    let path = format!("/resources/{}", made["id"].as_str().unwrap());
    let changed = program.patch(&path, json!({"region": "eastus"})).await.done();
    assert_eq!((&changed["change"], &changed["has_key"]), (&json!("updated"), &json!(true)));
    let again = program.patch(&path, json!({"region": "eastus", "key": "s3cret"})).await.done();
    assert_eq!(again["change"], "unchanged");
    let bare = program.patch(&path, json!({"key": null})).await.done();
    assert_eq!(bare["has_key"], false);

    let listed = program.get("/resources").await.done();
    assert_eq!(listed["items"], json!([program.get(&path).await.done()]));
    let twice = program.post("/resources", resource()).await;
    insta::assert_snapshot!(twice.refusal(), @r#"409 "conflict": "another resource has the deployment name \"demo\"""#);

    assert_eq!(program.delete(&path).await.status, 204);
    assert_eq!(program.get(&path).await.status, 404);
    assert_eq!(program.delete(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_key_does_not_go_to_another_host() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let path = program.resource().await;
    let moved = program.patch(&path, json!({"endpoint": "http://evil.example/mcp"})).await;
    assert_eq!(moved.body["error"]["field"], "key", "{}", moved.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_why_it_does_not_work() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let path = program.resource().await;
    let tested = program.post(&format!("{path}/test"), json!({})).await.done();
    assert_eq!(tested["works"], false);
    assert!(tested["reason"].as_str().unwrap().contains("127.0.0.1:9"), "{tested}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_used_is_not_deleted() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let (path, event) = (program.resource().await, program.event().await);
    let id = path.rsplit('/').next().unwrap();
    program.patch(&event, json!({"resources": [id]})).await.done();
    let refused = program.delete(&path).await;
    insta::assert_snapshot!(refused.refusal(), @r#"409 "conflict": "it is used by Demo; unlink it there first""#);
}
