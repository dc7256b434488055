//! The Rust SDK's client through the proxy, to the server of the demo.

use ai_proxy::demo::{self, Demo};
use http::{HeaderName, HeaderValue};
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use crate::harness::attendee::Attendee;
use crate::harness::proxy::Proxy;
use crate::harness::{CHANGE, PATIENCE, within};

/// An event that has the demo's server, which counts as far as three.
async fn served() -> (Demo, Proxy, Attendee) {
    let mut proxy = Proxy::new().await;
    proxy.start().await;
    let demo = demo::prepare(proxy.app()).await.expect("a demo");
    let event = proxy.event().resources(["mcp-demo"]).daily_cap(3).open().await;
    let ada = event.attendee().await;
    within(CHANGE, "the event is open", async || ada.fares().await == "deployment_not_found").await;
    (demo, proxy, ada)
}

fn transport(
    proxy: &Proxy,
    path: &str,
    key: (&'static str, String),
) -> StreamableHttpClientTransport<reqwest::Client> {
    let url = format!("http://{}/api/v1/mcp/{path}", proxy.addr());
    let header = (HeaderName::from_static(key.0), HeaderValue::from_str(&key.1).unwrap());
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers([header].into_iter().collect());
    StreamableHttpClientTransport::from_config(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_lists_and_calls_tools() {
    let (_demo, proxy, ada) = served().await;
    let bearer = format!("Bearer {}", ada.key);
    for (path, key) in [
        ("mcp-demo", ("api-key", ada.key.clone())),
        ("mcp-demo/mcp", ("api-key", ada.key.clone())),
        ("mcp-demo/mcp", ("authorization", bearer)),
    ] {
        let client = ().serve(transport(&proxy, path, key)).await.expect("a session");
        let tools = client.list_all_tools().await.expect("tools");
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names, ["echo", "get_current_utc_time"]);
        let arguments = serde_json::json!({"message": "Hello!"}).as_object().cloned();
        let call = CallToolRequestParams::new("echo").with_arguments(arguments.unwrap());
        let result = client.call_tool(call).await.expect("an answer");
        let text = result.content[0].as_text().expect("text");
        assert_eq!(text.text, "Hello!");
        client.cancel().await.expect("an end");
    }
    let usage = ada.usage().await;
    assert_eq!(usage["used"], 3, "one for each call of a tool");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_why_it_is_refused_and_does_not_hang() {
    let (_demo, proxy, ada) = served().await;
    let client =
        ().serve(transport(&proxy, "mcp-demo", ("api-key", ada.key.clone()))).await.unwrap();
    for _ in 0..3 {
        let call = CallToolRequestParams::new("get_current_utc_time");
        client.call_tool(call).await.expect("an answer");
    }
    let call = client.call_tool(CallToolRequestParams::new("get_current_utc_time"));
    let refused = tokio::time::timeout(PATIENCE, call).await.expect("no hang");
    let said = refused.expect_err("the cap is reached").to_string();
    assert!(said.contains("429"), "{said}");

    let wrong = ().serve(transport(&proxy, "mcp-demo", ("api-key", "unknown".into())));
    let refused = tokio::time::timeout(PATIENCE, wrong).await.expect("no hang");
    assert!(refused.is_err());
}
