//! The description, and that it is true of what is served.

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::{BASE, Program};
use crate::harness::Portal;

async fn description(portal: &Portal) -> Value {
    // Nobody needs a token for it.
    let url = format!("{}{BASE}/openapi.json", portal.url);
    Client::new().get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_as_it_is_unless_somebody_looks() {
    let portal = Portal::start().await;
    let text = serde_json::to_string_pretty(&description(&portal).await).unwrap();
    // Named in full: the suite on PostgreSQL holds the same modules one deeper.
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("portal__api__description__openapi", text);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_each_method_that_is_served_and_no_other() {
    let portal = Portal::start().await;
    let document = description(&portal).await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let is_described = methods.get(method.as_str().to_lowercase()).is_some();
            let url = format!("{}{BASE}{path}", portal.url);
            let answer = Client::new().request(method.clone(), url).send().await.unwrap();
            let is_served = answer.status() != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(is_described, is_served, "{method} {path}");
            let is_open = path == "/openapi.json";
            if is_served && !is_open {
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nowhere_is_told_in_json() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    for path in ["", "/", "/nothing", "/resources/", "/resources/x/y"] {
        let answer = program.get(path).await;
        assert!(answer.refusal().starts_with("404 \"not_found\""), "{path}");
    }
    let answer = program.delete("/owner").await;
    assert!(answer.refusal().starts_with("405 \"method_not_allowed\""), "{}", answer.refusal());
}
