//! `ai-proxy apply --server`: the same as on the server itself, over its API.

use std::path::PathBuf;

use ai_proxy::app::open_store;
use ai_proxy::catalog::owner::{self, api_token};
use ai_proxy::clock::now_ms;
use ai_proxy::config::StoreArgs;
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
