//! What one warm `tools/call` costs in instructions: the skeleton of a call up to the
//! request that would be sent, and from the head of an answer to the record. The connection
//! to the backend and the client's sockets are left out. `make budget` counts them under
//! callgrind and compares with `benches/budget.txt`.
//!
//! No stage may wait: a warm call runs no SQL.

use std::future::Future;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ai_proxy::app::App;
use ai_proxy::catalog::{attendee, event, owner, resource};
use ai_proxy::cli::{Cli, Command};
use ai_proxy::clock::now_ms;
use ai_proxy::proxy::attendee::lease::DayCount;
use ai_proxy::proxy::call::Call;
use ai_proxy::proxy::mcp::Mcp;
use ai_proxy::proxy::request_body::RequestBody;
use ai_proxy::proxy::route::Route;
use ai_proxy::proxy::worker::Worker;
use bytes::Bytes;
use clap::Parser;
use futures_util::FutureExt;
use gungraun::{library_benchmark, library_benchmark_group, main};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, request, response};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PATH: &str = "/api/v1/mcp/bench/mcp";
const SESSION: &str = "6f1c2a9e8b7d4f3a9c0e1d2b3a4f5e6d";
const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3,"note":"a call of about two hundred bytes, as most calls of a tool are"}}}"#;

/// Calls made before the one that counts, so that caches are warm.
const WARM_UP: usize = 3;

/// Requests leased for the call that counts. After so few calls, as slow as they are
/// while instructions are counted, a lease has not grown: it may be used up.
const LEASED: u32 = 16;

struct Room {
    worker: Arc<Worker>,
    request: HeaderMap,
    answer: HeaderMap,
    /// The store's files.
    _folder: TempDir,
    /// Where the store is asked, before the call that counts.
    runtime: Runtime,
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let value = |value| HeaderValue::from_str(value).expect("a header's value");
    lines.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
}

impl Room {
    fn open() -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first time");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let folder = TempDir::new().expect("a folder");
        let data_dir = folder.path().to_str().expect("a plain path");
        let Command::Serve(config) =
            Cli::parse_from(["ai-proxy", "serve", "--data-dir", data_dir]).command
        else {
            unreachable!("serve was asked for")
        };
        let app = runtime.block_on(async {
            let key = furnish(&App::open((*config).clone()).await.expect("a store")).await;
            (App::open(*config).await.expect("the store again"), key)
        });
        let (app, key) = app;
        let request = headers(&[
            ("host", "proxy.example:8910"),
            ("user-agent", "python-httpx/0.28.1"),
            ("accept", "application/json, text/event-stream"),
            ("accept-encoding", "gzip, deflate"),
            ("connection", "keep-alive"),
            ("content-type", "application/json"),
            ("content-length", "170"),
            ("mcp-protocol-version", "2025-06-18"),
            ("mcp-session-id", SESSION),
            ("api-key", &key),
        ]);
        let answer = headers(&[
            ("content-type", "application/json"),
            ("content-length", "120"),
            ("date", "Sun, 22 Nov 2026 12:00:00 GMT"),
            ("server", "uvicorn"),
        ]);
        let worker = Arc::new(Worker::new(app.plane.clone()));
        Self { worker, request, answer, _folder: folder, runtime }
    }

    async fn call(&self, request: request::Parts, mut answer: response::Parts) {
        let Route::Mcp { deployment, rest } = Route::of(black_box(PATH)) else {
            unreachable!("a path of MCP")
        };
        let protocol = Mcp { deployment, rest };
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let body = RequestBody::whole(Bytes::from_static(black_box(CALL)));
        let mut call = Call::new(&self.worker, peer, request, body);
        let clearance = call.clear(&protocol).await.expect("nothing stands against it");
        let mut delivery = call.prepare(&protocol, clearance).expect("a request");
        delivery.spend();
        delivery.answered(&call, &protocol, &mut answer).await.expect("an answer");
        black_box(answer);
    }

    /// The heads of a request and of its answer.
    fn heads(&self) -> (request::Parts, response::Parts) {
        let mut request = Request::post(PATH).body(()).expect("a request").into_parts().0;
        let mut answer = Response::new(()).into_parts().0;
        (request.headers, answer.headers) = (self.request.clone(), self.answer.clone());
        (request, answer)
    }
}

/// A workshop of one attendee; their key.
async fn furnish(app: &App) -> String {
    let (db, vault) = (&*app.db, &*app.vault);
    let owner = owner::local(db, "local", now_ms()).await.expect("an owner");
    let by = owner.actor(now_ms());
    let backend = resource::Draft {
        deployment: "bench".into(),
        endpoint: "http://127.0.0.1:9/mcp".into(),
        key: resource::KeyChange::Set("backend-key".into()),
        active: true,
        ..resource::Draft::default()
    };
    let backend = resource::save(db, vault, &by, &backend).await.expect("a resource");
    let workshop = event::Draft {
        name: "Bench".into(),
        description: "A measurement.".into(),
        organizer_name: "Bench".into(),
        organizer_email: "bench@example.org".into(),
        start: "2020-01-01T00:00".into(),
        end: "2099-01-01T00:00".into(),
        resources: vec![backend.id],
        active: true,
        ..event::Draft::default()
    };
    let workshop = event::save(db, vault, &by, &workshop).await.expect("an event");
    let issued = attendee::issue(db, vault, &by, &workshop.id, 1, &[]).await.expect("a key");
    issued[0].api_key.expose_secret().to_owned()
}

/// A room in which a call was served, and the heads of the next.
fn warm() -> (Room, request::Parts, response::Parts) {
    let room = Room::open();
    for _ in 0..WARM_UP {
        let (request, answer) = room.heads();
        room.runtime.block_on(room.call(request, answer));
    }
    let clock = &room.worker.plane.clock;
    let leased = DayCount { day: clock.today(clock.now_ms()), count: LEASED };
    for live in room.worker.plane.lives.all() {
        assert_eq!(live.lease.add(leased), None, "it is of the same day");
    }
    let (request, answer) = room.heads();
    (room, request, answer)
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a warm call waits for nothing")
}

#[library_benchmark]
#[bench::warm(setup = warm)]
fn tools_call((room, request, answer): (Room, request::Parts, response::Parts)) -> Room {
    at_once(room.call(request, answer));
    // Closed outside of what is counted.
    room
}

library_benchmark_group!(name = hot_path, benchmarks = tools_call);
main!(library_benchmark_groups = hot_path);
