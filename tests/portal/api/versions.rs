//! Versions: what an `ETag` changes with, and what `If-Match` refuses.

use reqwest::Method;
use reqwest::header::ETAG;
use serde_json::{Value, json};

use super::{Answer, Program};
use crate::harness::Portal;

/// A change of one field, another one for each number.
type Change = fn(u32) -> Value;

const STALE: &str = "412 \"precondition_failed\": \"It was changed since you read it, so nothing was done. Read it again, and send your change with the ETag that you get then.\"";

impl Program {
    async fn patch_if(&self, tag: &str, path: &str, body: Value) -> Answer {
        self.send_if(&[tag], Method::PATCH, path, Some(body)).await
    }

    async fn delete_if(&self, tag: &str, path: &str) -> Answer {
        self.send_if(&[tag], Method::DELETE, path, None).await
    }

    /// An attendee of a new event; their path.
    async fn attendee(&self) -> String {
        let all = format!("{}/attendees", self.event().await);
        let issued = self.post(&all, json!({"count": 1})).await.done();
        format!("{all}/{}", issued["items"][0]["id"].as_str().unwrap())
    }

    /// A row of each kind that has versions: its path, and its changes.
    async fn rows(&self) -> [(String, Change); 3] {
        let name: Change = |n| json!({"name": format!("name {n}")});
        let cap: Change = |n| json!({"daily_request_cap": n});
        [(self.resource().await, name), (self.event().await, name), (self.attendee().await, cap)]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_version_that_was_read_is_changed_or_deleted() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    for (path, change) in program.rows().await {
        let (one, two) = (change(1), change(2));
        let read = program.get(&path).await;
        let first = read.etag();
        assert_eq!(program.get(&path).await.etag(), first, "{path}: as long as nothing changes");
        let changed = program.patch_if(first, &path, one.clone()).await;
        assert_eq!(changed.status, 200, "{path}: {}", changed.body);
        assert_ne!(changed.etag(), first, "{path}");
        assert_eq!(program.get(&path).await.etag(), changed.etag(), "{path}");

        let late = program.patch_if(first, &path, two).await;
        assert_eq!(late.refusal(), STALE, "{path}");
        assert_eq!(late.etag(), changed.etag(), "{path}: what is stored");
        assert_eq!(program.delete_if(first, &path).await.refusal(), STALE, "{path}");
        let now = program.get(&path).await;
        let (field, value) = one.as_object().unwrap().iter().next().unwrap();
        assert_eq!(now.body[field], *value, "{path}: nothing was done");
        // What changes nothing leaves the version as it is.
        assert_eq!(program.patch_if(now.etag(), &path, one).await.etag(), now.etag(), "{path}");
        assert_eq!(program.delete_if(now.etag(), &path).await.status, 204, "{path}");
        // That it is gone comes first.
        assert_eq!(program.delete_if(first, &path).await.status, 404, "{path}");
        assert_eq!(program.patch_if("*", &path, json!({})).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_a_star_or_names_the_version_among_others() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let path = program.event().await;
    let read = program.get(&path).await;
    let tag = read.etag();
    let status = async |tags: &[&str]| {
        program.send_if(tags, Method::PATCH, &path, Some(json!({}))).await.status
    };
    assert_eq!(status(&["*"]).await, 200);
    assert_eq!(status(&[&format!("\"other\", {tag}")]).await, 200);
    assert_eq!(status(&["\"other\"", tag]).await, 200, "two headers are one list");
    assert_eq!(status(&[&format!("W/{tag}")]).await, 412, "a weak tag matches nothing");
    assert_eq!(status(&["\"other\""]).await, 412);
    for wrong in [tag.trim_matches('"'), "", "\"open", "*, \"other\""] {
        let answer = program.patch_if(wrong, &path, json!({})).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer.refusal(), @r#"400 "malformed_header": "If-Match must be * or a list of entity tags in double quotes, as the ETag header of an answer has one.""#);
        }
        assert_eq!(program.delete_if(wrong, &path).await.status, 400, "{wrong}");
    }
    assert_eq!(program.get(&path).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_about_one_row_has_its_version() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let made = program.post("/events", super::event()).await;
    let path = format!("/events/{}", made.body["id"].as_str().unwrap());
    assert_eq!(program.get(&path).await.etag(), made.etag());
    for (verb, body) in
        [("pause", json!({})), ("resume", json!({})), ("extend", json!({"minutes": 5}))]
    {
        let done = program.post(&format!("{path}/{verb}"), body).await;
        assert_eq!(program.get(&path).await.etag(), done.etag(), "{verb}");
    }
    let made = program.post("/resources", super::resource()).await;
    let path = format!("/resources/{}", made.body["id"].as_str().unwrap());
    assert_eq!(program.get(&path).await.etag(), made.etag());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_no_answer_shows_changes_the_version() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let (resource, event) = (program.resource().await, program.event().await);
    let keys = [json!({"key": "another"}), json!({"key": null})];
    let codes = [json!({"shared_code": "Welcome2026"}), json!({"shared_code": "Welcome2027"})];
    for (path, changes) in [(resource, keys), (event, codes)] {
        for change in changes {
            let before = program.get(&path).await;
            let tag = before.etag();
            assert_eq!(program.patch_if(tag, &path, change.clone()).await.status, 200, "{change}");
            assert_ne!(program.get(&path).await.etag(), tag, "{change}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_to_one_version_at_once_one_is_made() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    for (path, change) in program.rows().await {
        for round in 0..10 {
            let read = program.get(&path).await;
            let tag = read.etag();
            let (one, two) = tokio::join!(
                program.patch_if(tag, &path, change(2 * round + 1)),
                program.patch_if(tag, &path, change(2 * round + 2)),
            );
            let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
            assert_eq!((won.status, lost.status), (200, 412), "{path}: {}", lost.body);
            assert_eq!(program.get(&path).await.etag(), won.etag(), "{path}");
            assert_eq!(lost.etag(), won.etag(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_has_no_version() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let path = program.resource().await;
    let before = program.get(&path).await;
    sqlx::query("update resource set endpoint_sealed = 'v1.x'")
        .execute(portal.app.db.writer())
        .await
        .unwrap();
    let refused = program.patch_if(before.etag(), &path, super::resource()).await;
    assert_eq!((refused.refusal().as_str(), refused.headers.get(ETAG)), (STALE, None));
    assert_eq!(program.delete_if(before.etag(), &path).await.status, 412);
    assert_eq!(program.patch_if("*", &path, super::resource()).await.status, 200);
    assert_eq!(program.delete_if("*", &path).await.status, 204);
}
