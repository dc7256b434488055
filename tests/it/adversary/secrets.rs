//! Nothing that opens a door is ever written down: not in the most talkative
//! log, not in an answer, not in the metrics.

use super::ANSWER;
use crate::harness::backend::{Backend, Nobody};
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::wire::Wire;
use crate::harness::{BACKEND_KEY, CALL, eventually};

/// What a caller put into a request and nobody else is to read.
const SHARED_CODE: &str = "SharedCodeOfTheRoom";
const ARGUMENT: &str = "an-argument-of-the-caller";

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_requests_writes_no_secret_anywhere() {
    let well = Backend::saying(ANSWER).await;
    let broken = Backend::saying("nonsense\r\n\r\n").await;
    let gone = Nobody::new().url();
    let store = Proxy::new().await;
    for (deployment, endpoint) in [
        ("demo", &well.url()),
        ("broken", &broken.url()),
        ("gone", &gone),
        ("tls", &broken.url().replace("http:", "https:")),
    ] {
        store.resource(deployment, endpoint).await;
    }
    let event = store.event().shared_code(SHARED_CODE).open().await;
    let ada = event.attendee().await;
    let mut settings = store.store.settings();
    settings.extend([
        ("AI_PROXY_CONNECT_TIMEOUT", "0.2".to_owned()),
        ("AI_PROXY_LOG", "trace".to_owned()),
        ("AI_PROXY_LOG_FORMAT", "json".to_owned()),
        ("AI_PROXY_LOG_REQUESTS", "true".to_owned()),
        ("AI_PROXY_METRICS_LISTEN", "127.0.0.1:0".to_owned()),
    ]);
    let mut process = Process::serve(&settings).await;
    let shared = format!("{}@{SHARED_CODE}/somebody@example.org", event.id);
    let wrong_code = format!("{}@{SHARED_CODE}x/somebody@example.org", event.id);
    let unknown = "an-unknown-key-that-may-be-a-typing-error";

    let mut answers = String::new();
    for key in [&ada.key, &shared, &wrong_code, unknown] {
        for path in [
            "/api/v1/mcp/demo",
            "/api/v1/mcp/demo/x?api-key=KEY",
            "/api/v1/mcp/broken",
            "/api/v1/mcp/gone",
            "/api/v1/mcp/tls",
            "/api/v1/mcp/none",
            "/api/v1/mcp/demo/..",
            "/api/v1/usage",
            "/KEY",
        ] {
            for (method, headers, body) in [
                (
                    "POST",
                    format!("api-key: {key}\r\n"),
                    CALL.replace("{}", &format!("{{\"x\":\"{ARGUMENT}\"}}")),
                ),
                (
                    "POST",
                    format!("authorization: Bearer {key}\r\nmcp-param-x: {ARGUMENT}\r\n"),
                    format!("{ARGUMENT}{key}"),
                ),
                ("GET", format!("api-key: {key}\r\nmcp-session-id: {ARGUMENT}\r\n"), String::new()),
                ("PUT", format!("cookie: {key}\r\nx-api-key: {key}\r\n"), format!("[{key}")),
                (
                    "POST",
                    format!("api-key: {key}\r\ntransfer-encoding: chunked\r\n"),
                    key.to_owned(),
                ),
                ("POST", format!("api-key : {key}\r\n"), String::new()),
                (key, format!("accept: {key}\r\n"), String::new()),
            ] {
                let length = body.len();
                let path = path.replace("KEY", key);
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n{body}"
                );
                let mut wire = Wire::connect(process.addr).await;
                if wire.send(request).await.is_ok()
                    && let Ok(answer) = wire.answer().await
                {
                    answers.push_str(&format!("{:?}\n{}\n", answer.headers, answer.text()));
                }
            }
        }
    }
    let metrics = process.address_after("metrics on http://").expect("the metrics' address");
    let mut scrape = String::new();
    eventually("the metrics tell of it", async || {
        let request = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
        let page = Wire::connect(metrics).await.exchange(request).await.expect("metrics");
        scrape = page.text().to_owned();
        scrape.contains("ai_proxy_requests_total")
    })
    .await;
    assert!(process.stop().await.success());

    let output = process.output();
    assert!(output.contains("\"DEBUG\"") && well.calls() > 0, "the storm was a storm");
    let hosts = [well.addr, broken.addr].map(|addr| addr.to_string());
    let gone = gone.trim_start_matches("http://").trim_end_matches("/mcp");
    for (what, secret) in [
        ("an API key", &*ada.key),
        ("an unknown key", unknown),
        ("the shared code", SHARED_CODE),
        ("a backend key", BACKEND_KEY),
        ("an endpoint", &hosts[0]),
        ("an endpoint", &hosts[1]),
        ("an endpoint", gone),
        ("the master key", &store.store.master_key()),
        ("an argument", ARGUMENT),
    ] {
        for (place, text) in
            [("the log", &output), ("an answer", &answers), ("the metrics", &scrape)]
        {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{what} is in {place}");
        }
    }
}
