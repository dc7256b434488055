//! Whole sessions, one after the other on each connection: `initialize`, ten
//! calls with the session's id, DELETE.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::http::{Input, Message};
use crate::times::Times;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: crate::To,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

const CALLS: usize = 10;

pub async fn run(args: Args) -> anyhow::Result<()> {
    let keys = args.to.keys()?;
    let started = Instant::now();
    let until = started + Duration::from_secs(args.seconds);
    let mut clients = JoinSet::new();
    for n in 0..args.connections {
        let (to, key) = (args.to.clone(), keys[n % keys.len()].clone());
        clients.spawn(async move {
            let mut client = Client::connect(to, key).await?;
            let mut times = Times::default();
            while Instant::now() < until {
                let began = Instant::now();
                client.session().await?;
                times.push(began.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Times::default();
    while let Some(client) = clients.join_next().await {
        times.append(client??);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{{\"sessions\":{},\"seconds\":{seconds:.3},{}}}", times.len(), times.json(""));
    Ok(())
}

struct Client {
    to: crate::To,
    key: String,
    stream: TcpStream,
    input: Input,
}

impl Client {
    async fn connect(to: crate::To, key: String) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to.address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        Ok(Self { to, key, stream, input: Input::default() })
    }

    async fn session(&mut self) -> anyhow::Result<()> {
        let opening = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
        let opened = self.ask("POST", "", opening).await?;
        let id = opened.header("mcp-session-id").context("no session was issued")?;
        let session = format!("mcp-session-id: {id}\r\n");
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}"#;
        for _ in 0..CALLS {
            self.ask("POST", &session, call).await?;
        }
        self.ask("DELETE", &session, "").await?;
        Ok(())
    }

    async fn ask(&mut self, method: &str, more: &str, body: &str) -> anyhow::Result<Message> {
        let request = format!(
            "{method} {} HTTP/1.1\r\nhost: localhost\r\napi-key: {}\r\n{more}\
             accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2025-06-18\r\ncontent-length: {}\r\n\r\n{body}",
            self.to.path,
            self.key,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let answer = self.input.message(&mut self.stream).await?;
        let said = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status() == 200, "{method} was answered {}: {said}", answer.status());
        Ok(answer)
    }
}
