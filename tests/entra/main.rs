//! The identity provider of the tests, for a browser: prints what to start the
//! proxy with and serves until it is ended.

mod provider;

use provider::{CLIENT_ID, CLIENT_SECRET, Person, Provider, TENANT};

#[tokio::main]
async fn main() {
    let ada = Person::new("Ada Lovelace", "00000000-0000-4000-8000-00000000ada1");
    let eve = Person::new("Eve", "00000000-0000-4000-8000-00000000eee1");
    let owner = format!("{TENANT}/{}", ada.object);
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listen = listen.parse().expect("an address and port to listen on");
    let provider = Provider::start(listen, vec![ada, eve]).await;
    let people: Vec<_> = provider.script.lock().people.iter().map(|p| p.name.clone()).collect();
    eprintln!("{} can sign in; the first of them is let in.", people.join(" and "));
    println!(
        "AI_PROXY_ENTRA_AUTHORITY={}\nAI_PROXY_ENTRA_TENANTS={TENANT}\n\
         AI_PROXY_ENTRA_CLIENT_ID={CLIENT_ID}\nAI_PROXY_ENTRA_CLIENT_SECRET={CLIENT_SECRET}\n\
         AI_PROXY_ENTRA_OWNERS={owner}",
        provider.url
    );
    std::future::pending::<()>().await;
}
