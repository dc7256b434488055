//! The process around it all: `serve` and `demo`, from start to drain.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ai_proxy::probe::{Failure, ProbeTarget, Report, check};
use serde_json::Value;

use crate::command::Workshop;
use crate::fake::{self, Fake};
use crate::probe::with_key;

const PATIENCE: Duration = Duration::from_secs(20);

/// `ai-proxy serve` or `demo`; killed when dropped.
pub struct Server {
    child: Child,
    /// What it wrote: stdout's lines and stderr's.
    lines: Receiver<String>,
    /// All that was read of them.
    said: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    pub fn start(workshop: &Workshop, args: &[&str]) -> Self {
        let mut child = workshop
            .command(&[], args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    /// What follows `mark` in the first line that holds it, up to the next quote or space.
    pub fn says(&mut self, mark: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no {mark:?} in {:#?}", self.said));
            self.said.push(line.clone());
            if let Some((_, rest)) = line.split_once(mark) {
                return rest.split(['"', ' ']).next().unwrap_or_default().to_owned();
            }
        }
    }

    /// Asks it to end, and waits until it has.
    fn stop(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let end = Instant::now() + PATIENCE;
        // Both streams end with the process.
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.said.push(line);
        }
        let code = self.child.wait().unwrap().code();
        (code, std::mem::take(&mut self.said))
    }
}

/// Asks again until the answer is the one that is waited for.
async fn until<T>(
    target: &ProbeTarget,
    wanted: impl Fn(Result<Report, Failure>) -> Result<T, Result<Report, Failure>>,
) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match wanted(check(target).await) {
            Ok(value) => return value,
            Err(other) if Instant::now() > end => panic!("{other:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_takes_up_what_commands_change_and_logs_no_key() {
    let workshop = Workshop::new();
    let args =
        ["--listen", "127.0.0.1:0", "--log", "trace", "--log-format", "json", "--log-requests"];
    let mut server = Server::start(&workshop, &args);
    let address = server.says("listening on http://");
    let health = workshop.run(&["healthcheck", "--listen", &address]);
    assert_eq!(health.code, 0, "{health:?}");

    let backend = Fake::start(|asked| fake::guarded("backend-s3cret", asked, fake::legacy)).await;
    workshop.apply(&format!(
        "[[resource]]\ndeployment = 'mcp-demo'\nendpoint = '{}'\nkey = 'backend-s3cret'\n\
         [[event]]\nid = 'a1b2-c3d4'\nname = 'E'\ndescription = 'D'\norganizer_name = 'Ada'\n\
         organizer_email = 'ada@example.org'\nstart = '2000-01-01T00:00'\n\
         end = '2999-01-01T00:00'\nresources = ['mcp-demo']\n",
        backend.url("/mcp")
    ));
    let issue = ["attendee", "issue", "--event", "E", "--count", "1", "--format", "json"];
    let key = workshop.json(&issue)[0]["api_key"].as_str().unwrap().to_owned();
    let url = format!("http://{address}/api/v1/mcp/mcp-demo/mcp").parse().unwrap();
    let target = with_key(url, &key);
    let report = until(&target, |outcome| outcome.map_err(Err)).await;
    assert_eq!(report.tools, ["echo", "get_current_utc_time"]);

    workshop.run(&["attendee", "deactivate", "--event", "E", "issued:1"]);
    until(&target, |outcome| match outcome {
        Err(Failure::Unauthorized { .. }) => Ok(()),
        other => Err(other),
    })
    .await;

    let (code, said) = server.stop("TERM");
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("mcp-demo")), "requests are logged: {said:#?}");
    for line in said {
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let is_call = entry["message"] == "request" && entry["deployment"] == "mcp-demo";
        assert!(!is_call || entry["target"] == "ai_proxy::proxy", "filters name it: {line}");
        assert!(!line.contains(&key) && !line.contains("backend-s3cret"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_has_written_and_logged_who_tried_to_sign_in_and_nothing_they_typed() {
    let workshop = Workshop::new();
    let args = ["--listen", "127.0.0.1:0", "--log", "trace", "--log-format", "json"];
    let mut server = Server::start(&workshop, &args);
    let link = server.says("\"setup_link\":\"");
    let (portal, _) = link.split_once("/admin/").unwrap();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let browser = reqwest::Client::new();
    let (name, password) = ("Ada", "a dozen purple kites");
    let fields = [("name", name), ("password", password), ("again", password)];
    assert!(browser.post(&link).form(&fields).send().await.is_ok());
    for (name, password) in [(name, "s3cret guess"), ("s3cret in the wrong field", "s3cret")] {
        let fields = [("name", name), ("password", password)];
        let form = browser.post(format!("{portal}/admin/sign-in")).form(&fields);
        assert_eq!(form.send().await.unwrap().status(), 422);
    }
    let (code, said) = server.stop("TERM");
    assert_eq!(code, Some(0), "{said:#?}");
    let lines = said.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut logged: Vec<_> = lines
        .filter(|line| line["target"] == "ai_proxy::sign_in")
        .map(|line| {
            (line["outcome"].to_string(), line["owner"].is_string(), line["times"].as_i64())
        })
        .collect();
    logged.sort();
    let wrong = "\"wrong password\"".to_owned();
    let worked = "\"signed in with a link for administrators\"".to_owned();
    assert_eq!(
        logged,
        [(worked, true, None), (wrong.clone(), false, Some(1)), (wrong, true, Some(1))]
    );
    for line in said {
        assert!(!line.contains("s3cret") && !line.contains(password), "{line}");
    }
    let store = std::fs::read(workshop.path("data/ai-proxy.db")).unwrap();
    let has = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("wrong password") && !has("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_works_and_keeps_its_key() {
    let workshop = Workshop::new();
    let mut keys = Vec::new();
    for signal in ["INT", "TERM"] {
        let args = ["demo", "--listen", "127.0.0.1:0", "--log", "trace"];
        let mut demo = Server::start(&workshop, &args);
        let url = demo.says("URL  ").parse().unwrap();
        let key = demo.says("Key  ");
        let report = check(&with_key(url, &key)).await.unwrap();
        assert!(report.tools.contains(&"echo".to_owned()), "{report:?}");
        keys.push(key);
        let (code, said) = demo.stop(signal);
        assert_eq!(code, Some(0), "{said:#?}");
        // What our dependencies say below `info` holds headers and arguments.
        let fine = |line: &&String| line.contains(" DEBUG ") || line.contains(" TRACE ");
        let theirs = said.iter().filter(fine).find(|line| !line.contains(" ai_proxy"));
        assert_eq!(theirs, None);
    }
    assert_eq!(keys[0], keys[1]);
    assert!(workshop.path("data/demo/master.key").exists());
}

#[test]
fn a_start_that_cannot_be_is_one_sentence() {
    let workshop = Workshop::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = workshop.run(&["serve", "--listen", &address]).refusal();
    insta::assert_snapshot!(said.replace(&address, "ADDRESS"), @"cannot listen on ADDRESS: choose another with --listen: Address already in use (os error 98)");
    let said = workshop.run(&["serve", "--log", "ai_proxy=loud"]).refusal();
    insta::assert_snapshot!(said, @"--log 'ai_proxy=loud' is not a filter; write a level, or as in ai_proxy=debug,warn");
    let said = workshop.run(&["serve", "--data-dir", "/proc/nowhere"]).refusal();
    insta::assert_snapshot!(said, @"/proc/nowhere/master.key cannot be used: No such file or directory (os error 2)");
    let said = workshop.run(&["serve", "--database-url", "mysql://h/d"]).refusal();
    insta::assert_snapshot!(said, @"the store's URL must begin with sqlite: or postgres:");
    let said = workshop.run(&["serve", "--listen", "127.0.0.1:81", "--metrics-listen", "[::]:81"]);
    insta::assert_snapshot!(said.refusal(), @"--metrics-listen [::]:81 is taken by --listen 127.0.0.1:81: give it another port");
    for filter in ["warn", "info,ai_proxy=error", "off", ""] {
        let said = workshop.run(&["serve", "--log-requests", "--log", filter]).refusal();
        assert_eq!(
            said,
            format!(
                "--log-requests writes its lines at info, which --log '{filter}' leaves out; add ai_proxy=info to it"
            )
        );
    }
}

#[test]
fn a_value_that_could_never_take_effect_stops_the_start_also_where_the_environment_gives_it() {
    let workshop = Workshop::new();
    for (variable, value, flag, mend) in [
        (
            "AI_PROXY_ALLOWED_ORIGINS",
            "https://lab.example/app",
            "--allowed-origins",
            "scheme, host and port",
        ),
        ("AI_PROXY_PUBLIC_URL", "https://example.org/proxy", "--public-url", "a port, of its own"),
        ("AI_PROXY_BACKEND_TIMEOUT", "0", "--backend-timeout", "from 0.01 to 86400"),
    ] {
        let done = workshop.run_with(&[(variable, value)], &["serve"]);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{done:?}");
        assert!(done.stderr.contains(flag) && done.stderr.contains(mend), "{done:?}");
        assert!(!workshop.path("data").exists(), "nothing is made before the settings are right");
    }
}
