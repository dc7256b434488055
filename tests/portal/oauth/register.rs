//! Registration, which keeps nothing.

use std::collections::HashSet;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use super::harness::{CALLBACK, Client, json_of, refused};
use crate::harness::{Page, Portal};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_registered_as_one_that_needs_no_secret() {
    let portal = Portal::start().await;
    let visitor = portal.visitor();
    let register = async |body: String| {
        let request = visitor.client.post(format!("{}/register", portal.url)).body(body);
        Page::read(request.send().await.unwrap()).await
    };
    let metadata = json!({
        "client_name": "Editor",
        "redirect_uris": ["http://127.0.0.1:33418", "https://app.example/cb", "data:text/html,x"],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code"],
        "logo_uri": "https://app.example/logo.png",
    });
    let answer = register(metadata.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let client = json_of(&answer);
    let uris = json!(["http://127.0.0.1:33418", "https://app.example/cb"]);
    assert_eq!((&client["redirect_uris"], &client["client_name"]), (&uris, &json!("Editor")));
    assert_eq!(client["token_endpoint_auth_method"], "none");
    assert!(client.get("client_secret").is_none());

    refused(&register("{}".into()).await, 400, "invalid_client_metadata");
    refused(&register("[".into()).await, 400, "invalid_client_metadata");
    let bad = json!({"redirect_uris": ["http://app.example/cb"]}).to_string();
    refused(&register(bad).await, 400, "invalid_redirect_uri");
    let large = json!({"redirect_uris": [], "x": "x".repeat(9000)}).to_string();
    refused(&register(large).await, 400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_registrations_leave_nothing_behind_and_an_id_outlives_the_store() {
    let portal = Portal::start().await;
    let rows = async || {
        let all = "select (select count(*) from oauth_grant) + (select count(*) from oauth_code)
            + (select count(*) from oauth_token) + (select count(*) from audit)
            + (select count(*) from sign_in)";
        sqlx::query_scalar::<_, i64>(all).fetch_one(portal.app.db.pool()).await.unwrap()
    };
    let (before, visitor) = (rows().await, portal.visitor());
    let register = async |n: u32| {
        let metadata = json!({"client_name": format!("App {n}"), "redirect_uris": [CALLBACK]});
        let request = visitor.client.post(format!("{}/register", visitor.url));
        let answer = request.body(metadata.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json::<Value>().await.unwrap()["client_id"].as_str().unwrap().to_owned()
    };
    let mut ids = HashSet::new();
    for first in (0..10_000).step_by(50) {
        ids.extend(join_all((first..first + 50).map(register)).await);
    }
    assert_eq!((ids.len(), rows().await), (10_000, before));
    let first = Client::register(&portal).await;
    assert_eq!(Client::register(&portal).await.id, first.id, "the same client has the same id");
    // Of another proxy, whose store knows nothing of it.
    let other = Portal::start().await;
    let known = Client::register(&other).await;
    let answer = known.refresh("aipx_rt_unknown", &[("client_id", &first.id)]).await;
    refused(&answer, 400, "invalid_grant");
}
