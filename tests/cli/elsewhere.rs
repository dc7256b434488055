//! `ai-proxy apply --server`: the same as on the server itself, over its API.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;

use ai_proxy::app::open_store;
use ai_proxy::catalog::audit::Actor;
use ai_proxy::catalog::event::{self, Event, control};
use ai_proxy::catalog::owner::{self, api_token};
use ai_proxy::clock::now_ms;
use ai_proxy::config::StoreArgs;
use ai_proxy::db::Db;
use secrecy::ExposeSecret;

use crate::command::{Done, Workshop};
use crate::serve::Server;

/// A proxy that serves the folder of a workshop, and a token for its owner.
pub struct Elsewhere {
    _server: Server,
    pub url: String,
    pub token: String,
}

impl Elsewhere {
    pub fn start(workshop: &Workshop) -> Self {
        let mut server = Server::start(workshop, &["serve", "--listen", "127.0.0.1:0"]);
        let url = format!("http://{}", server.says("listening on http://"));
        let token = token(workshop.path("data"), owner::LOCAL);
        Self { _server: server, url, token }
    }
}

fn token(data_dir: PathBuf, name: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (db, _) = open_store(&StoreArgs { data_dir, database_url: None }).await.unwrap();
        let owner = owner::local(&db, name, now_ms()).await.unwrap();
        let token = api_token::create(&db, &owner.actor(now_ms()), "apply", Some(1)).await.unwrap();
        token.expose_secret().to_owned()
    })
}

const FILE: &str = "[[resource]]\ndeployment = \"d\"\nendpoint = \"http://127.0.0.1:9/mcp\"\n";

#[test]
fn it_is_only_done_with_a_token_that_is_good() {
    let workshop = Workshop::new();
    let elsewhere = Elsewhere::start(&workshop);
    workshop.write("w.toml", FILE);
    let apply = ["apply", "w.toml", "--server", &elsewhere.url];
    let told = |done: Done| done.refusal().replace(&elsewhere.url, "http://proxy");
    insta::assert_snapshot!(told(workshop.run(&apply)), @"there is no token for http://proxy/; make one in its portal, at Account, API tokens, and set AI_PROXY_TOKEN");
    let wrong = [("AI_PROXY_TOKEN", "aip_wrong")];
    insta::assert_snapshot!(told(workshop.run_with(&wrong, &apply)), @"http://proxy/ refused: This token is not known here: it was revoked, has expired, or is not complete. Make another in the portal, at Account, API tokens.");

    workshop.write("token", &format!("{}\n", elsewhere.token));
    let done = workshop.run(&[&apply[..], &["--token-file", "token"]].concat());
    assert!(done.code == 0 && done.stdout.contains("created"), "{done:?}");
    let done = workshop.run(&[&apply[..], &["--token", &elsewhere.token]].concat());
    assert!(done.code == 0 && done.stdout.contains("unchanged"), "{done:?}");
    // A token that is in the environment for it stands in the way of nothing else.
    let here = workshop.run_with(&wrong, &["apply", "w.toml"]);
    assert!(here.code == 0 && here.stdout.contains("unchanged"), "{here:?}");
    let file = [&apply[..], &["--token-file", "token"]].concat();
    assert_eq!(workshop.run_with(&wrong, &file).code, 0);
    // The token says whose it is.
    assert_eq!(workshop.run(&[&apply[..], &["--owner", "grace"]].concat()).code, 2);
}

#[test]
fn what_is_no_proxy_is_said_to_be_none() {
    let workshop = Workshop::new();
    workshop.write("w.toml", FILE);
    let with = [("AI_PROXY_TOKEN", "aip_0")];
    let apply =
        |url: &str| workshop.run_with(&with, &["apply", "w.toml", "--server", url]).refusal();
    assert!(apply("http://127.0.0.1:9/").starts_with("http://127.0.0.1:9/ cannot be reached: "));
    insta::assert_snapshot!(apply("ftp://proxy"), @"--server must be an address such as https://proxy.example.org");
}

#[test]
fn an_event_id_of_another_owner_is_refused_at_its_line() {
    let workshop = Workshop::served();
    let event = "[[event]]\nid = \"a1b2-c3d4\"\nname = \"E\"\ndescription = \"D\"\n\
                 organizer_name = \"Ada\"\norganizer_email = \"ada@example.org\"\n";
    workshop.write("w.toml", event);
    let token = token(workshop.path("data"), "grace");
    let grace = workshop.run(&["apply", "w.toml", "--token", &token]);
    assert_eq!(grace.code, 0, "{grace:?}");
    let refused = workshop.run(&["apply", "w.toml"]).refusal();
    insta::assert_snapshot!(refused, @"w.toml, line 2, column 6: event 'E', id: the event id a1b2-c3d4 is taken; use another");
}

/// Passes connections on to the proxy at `to`, and does something before the first call that
/// changes an event; its address.
fn relay(to: &str, before: impl FnOnce() + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let to = to.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        let mut before = Some(before);
        for mut client in listener.incoming().map(Result::unwrap) {
            let mut begun = Vec::new();
            while !begun.windows(4).any(|four| four == b"\r\n\r\n") {
                let mut bytes = [0; 1024];
                let read = client.read(&mut bytes).unwrap();
                begun.extend(&bytes[..read]);
                if read == 0 {
                    break;
                }
            }
            if begun.starts_with(b"PATCH /api/admin/v1/events/") {
                before.take().into_iter().for_each(|before| before());
            }
            let mut proxy = TcpStream::connect(&to).unwrap();
            proxy.write_all(&begun).unwrap();
            let (mut from, mut into) = (client.try_clone().unwrap(), proxy.try_clone().unwrap());
            std::thread::spawn(move || {
                // Either side may have left.
                drop(copy(&mut from, &mut into));
                drop(into.shutdown(Shutdown::Write));
            });
            std::thread::spawn(move || drop(copy(&mut proxy, &mut client)));
        }
    });
    url
}

#[test]
fn what_is_done_in_the_room_while_a_file_is_applied_stays() {
    let workshop = Workshop::new();
    let elsewhere = Elsewhere::start(&workshop);
    let event = "[[event]]\nid = \"a1b2-c3d4\"\nname = \"E\"\ndescription = \"D\"\n\
                 organizer_name = \"Ada\"\norganizer_email = \"ada@example.org\"\n";
    workshop.write("w.toml", event);
    let apply = |url: &str| {
        workshop.run(&["apply", "w.toml", "--server", url, "--token", &elsewhere.token])
    };
    assert_eq!(apply(&elsewhere.url).code, 0);

    // Between the look at the events and the change.
    let data_dir = workshop.path("data");
    let url = relay(&elsewhere.url, || with_event(data_dir, in_the_room));
    workshop.write("w.toml", &event.replace("\"D\"", "\"Another\""));
    let done = apply(&url);
    assert!(done.code == 0 && done.stdout.contains("updated"), "{done:?}");
    with_event(workshop.path("data"), async |_, event| {
        assert_eq!((event.description.as_str(), event.active), ("Another", false));
        assert_eq!(event.daily_request_cap, 2048);
    });

    // Nor is one that was deleted made once more.
    let data_dir = workshop.path("data");
    let url = relay(&elsewhere.url, || {
        with_event(data_dir, async |(db, by), event| {
            event::delete(db, by, &event.id).await.unwrap()
        });
    });
    let refused = apply(&url).refusal();
    insta::assert_snapshot!(refused, @"w.toml, line 2, column 6: event 'E', id: it was deleted meanwhile; apply the file again");
}

async fn in_the_room((db, by): (&Db, &Actor), event: Event) {
    control::set_active(db, by, &event.id, false).await.unwrap();
    control::raise_cap(db, by, &event.id, 1024, 100).await.unwrap();
}

/// Does something with the only event of a store.
fn with_event(data_dir: PathBuf, act: impl AsyncFnOnce((&Db, &Actor), Event)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (db, vault) = open_store(&StoreArgs { data_dir, database_url: None }).await.unwrap();
        let owner = owner::local(&db, owner::LOCAL, now_ms()).await.unwrap();
        let event = event::list(&db, &vault, &owner.id).await.unwrap().remove(0);
        act((&db, &owner.actor(now_ms())), event).await;
    });
}
