//! The GitHub of the tests, for a browser: prints what to start the proxy with and serves until it is
//! ended.

mod provider;

use provider::{CLIENT_ID, CLIENT_SECRET, GitHub, Person};

#[tokio::main]
async fn main() {
    let people = vec![
        Person::new(583_231, "octocat", Some("The Octocat")),
        Person::new(9_001, "grace", Some("Grace Hopper")),
    ];
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listen = listen.parse().expect("an address and port to listen on");
    let github = GitHub::start(listen, people).await;
    let logins: Vec<_> = github.script.lock().people.iter().map(|p| p.login.clone()).collect();
    eprintln!("{} can sign in.", logins.join(" and "));
    println!(
        "AI_PROXY_GITHUB_URL={}\nAI_PROXY_GITHUB_CLIENT_ID={CLIENT_ID}\n\
         AI_PROXY_GITHUB_CLIENT_SECRET={CLIENT_SECRET}",
        github.url
    );
    std::future::pending::<()>().await;
}
