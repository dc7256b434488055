//! People who open their cards, evenly over a while and all from one address: the form, its code, and the
//! page that it leads to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::http::{Input, Message};
use crate::times::Times;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    address: SocketAddr,
    /// One card's code a line, each used once.
    #[arg(long)]
    cards: PathBuf,
    /// All of them have come by then.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// How long the steps of a person took.
#[derive(Default)]
struct Steps {
    form: Times,
    code: Times,
    page: Times,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.cards).context("--cards cannot be read")?;
    let cards: Vec<String> = text.lines().map(str::to_owned).collect();
    let apart = Duration::from_secs(args.seconds) / u32::try_from(cards.len())?;
    let mut next = tokio::time::interval(apart);
    let mut people = JoinSet::new();
    for card in cards {
        next.tick().await;
        people.spawn(person(args.address, card));
    }
    let (mut steps, mut refused) = (Steps::default(), 0);
    while let Some(person) = people.join_next().await {
        match person? {
            Ok(one) => {
                steps.form.append(one.form);
                steps.code.append(one.code);
                steps.page.append(one.page);
            }
            Err(error) => {
                eprintln!("{error:#}");
                refused += 1;
            }
        }
    }
    let parts = [steps.form.json("form_"), steps.code.json("code_"), steps.page.json("page_")];
    let people = steps.page.len();
    println!("{{\"people\":{people},\"refused\":{refused},{}}}", parts.join(","));
    Ok(())
}

async fn person(address: SocketAddr, card: String) -> anyhow::Result<Steps> {
    let mut browser = Browser {
        stream: TcpStream::connect(address).await.context("no connection")?,
        address,
        input: Input::default(),
        cookies: Vec::new(),
    };
    browser.stream.set_nodelay(true)?;
    let mut steps = Steps::default();
    let began = Instant::now();
    let form = browser.ask("GET", "/claim", "").await?;
    steps.form.push(began.elapsed());
    ensure!(form.status() == 200, "the form was answered {}", form.status());
    let began = Instant::now();
    let opened = browser.ask("POST", "/claim", &format!("code={card}")).await?;
    steps.code.push(began.elapsed());
    let page = opened.header("location").context("the card opened nothing")?.to_owned();
    let began = Instant::now();
    let page = browser.ask("GET", &page, "").await?;
    steps.page.push(began.elapsed());
    let has_key = String::from_utf8_lossy(&page.body).contains("aik_");
    ensure!(page.status() == 200 && has_key, "the page was answered {}", page.status());
    Ok(steps)
}

struct Browser {
    stream: TcpStream,
    address: SocketAddr,
    input: Input,
    /// `name=value` of each.
    cookies: Vec<String>,
}

impl Browser {
    async fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Message> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\n\
             cookie: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n{body}",
            self.cookies.join("; "),
            body.len(),
            address = self.address,
        );
        self.stream.write_all(request.as_bytes()).await?;
        let answer = self.input.message(&mut self.stream).await?;
        let set = answer.head.split("\r\n").filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next())?
        });
        self.cookies.extend(set.map(str::to_owned));
        Ok(answer)
    }
}
