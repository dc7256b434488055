//! A portal on port 0, and visitors who open its pages.

use std::sync::Arc;

use ai_proxy::app::App;
use ai_proxy::catalog::owner;
use ai_proxy::config::Config;
use ai_proxy::server::{self, Running};
use clap::Parser;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION, ORIGIN};
use reqwest::cookie::Jar;
use reqwest::{Client, redirect};
use scraper::{Html, Selector};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use crate::postgres;

pub const PASSWORD: &str = "a dozen purple kites";

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    config: Config,
}

/// A running proxy with a store of its own.
pub struct Portal {
    pub app: Arc<App>,
    pub url: String,
    _running: Running,
    _folder: TempDir,
}

impl Portal {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With further settings, as on the command line.
    pub async fn with(settings: &[&str]) -> Self {
        // Every test of the binary asks for it; the first is served.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let fixed = ["test", "--listen", "127.0.0.1:0", "--workers", "1", "--data-dir"];
        let database = database().await;
        let store = database.iter().flat_map(|url| ["--database-url", url.as_str()]);
        let args = fixed.into_iter().chain(folder.path().to_str()).chain(store);
        let config = Serve::parse_from(args.chain(settings.iter().copied())).config;
        let app = App::open(config).await.unwrap();
        let running = server::start(app.clone()).await.unwrap();
        let url = format!("http://{}", running.addr());
        Self { app, url, _running: running, _folder: folder }
    }

    /// Moves the portal's clock forward.
    pub fn pass(&self, ms: i64) {
        self.app.clock.set(self.app.clock.now_ms() + ms);
    }

    /// A browser that was never here.
    pub fn visitor(&self) -> Visitor {
        let jar = Arc::new(Jar::default());
        let client = Client::builder()
            .cookie_provider(jar.clone())
            .redirect(redirect::Policy::none())
            .build()
            .unwrap();
        Visitor { client, jar, url: self.url.clone() }
    }

    /// The path of a link that makes an administrator.
    pub async fn first_link(&self) -> String {
        let link = owner::link::first(&self.app.db, self.app.clock.now_ms()).await.unwrap();
        link.url("")
    }

    /// A browser in which the administrator `name` has just signed in for the
    /// first time.
    pub async fn administrator(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        let fields = [("name", name), ("password", PASSWORD), ("again", PASSWORD)];
        visitor.post(&self.first_link().await, &fields).await.redirects_to("/admin");
        visitor
    }

    /// A browser in which `name`, who is not an administrator, is signed in.
    pub async fn owner(&self, name: &str) -> Visitor {
        owner::local(&self.app.db, name, self.app.clock.now_ms()).await.unwrap();
        let link = owner::link::reset(&self.app.db, name, self.app.clock.now_ms()).await.unwrap();
        let visitor = self.visitor();
        let fields = [("password", PASSWORD), ("again", PASSWORD)];
        visitor.post(&link.url(""), &fields).await.redirects_to("/admin");
        visitor
    }
}

impl Drop for Portal {
    /// A server takes only so many connections.
    fn drop(&mut self) {
        let close = self.app.db.close();
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(close));
    }
}

/// A new database where these tests are the suite on PostgreSQL. It goes with the server,
/// which is thrown away.
async fn database() -> Option<Url> {
    if env!("CARGO_CRATE_NAME") != "portal_postgres" {
        return None;
    }
    Some(postgres::create(&format!("portal_{}", Uuid::now_v7().simple())).await)
}

/// A browser: keeps cookies, follows nothing by itself.
pub struct Visitor {
    pub client: Client,
    pub jar: Arc<Jar>,
    pub url: String,
}

impl Visitor {
    pub async fn get(&self, path: &str) -> Page {
        Page::read(self.client.get(format!("{}{path}", self.url)).send().await.unwrap()).await
    }

    /// Sends a form, as a page of ours would.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.client.post(format!("{}{path}", self.url)).header(ORIGIN, &self.url);
        Page::read(request.form(fields).send().await.unwrap()).await
    }

    /// Sends a form with a file in the field `file`, as a browser does.
    pub async fn upload(&self, path: &str, fields: &[(&str, &str)], file: &[u8]) -> Page {
        let part =
            |head: String| format!("--mark\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend(part(format!("name=\"{name}\"")).bytes());
            body.extend(format!("{value}\r\n").bytes());
        }
        // Where none is chosen, a browser sends one without a name.
        let name = if file.is_empty() { "" } else { "a file" };
        let head = format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain");
        body.extend(part(head).bytes());
        body.extend(file);
        body.extend(b"\r\n--mark--\r\n");
        let request = self.client.post(format!("{}{path}", self.url)).header(ORIGIN, &self.url);
        let request = request.header(CONTENT_TYPE, "multipart/form-data; boundary=mark");
        Page::read(request.body(body).send().await.unwrap()).await
    }

    /// Sends the form of the page at `path` that posts to an address ending so, and
    /// opens the page that it leads to.
    pub async fn press(&self, path: &str, ending: &str, fields: &[(&str, &str)]) -> Page {
        let actions = self.get(path).await.attributes("form", "action");
        let action = actions.iter().find(|action| action.ends_with(ending));
        let action = action.unwrap_or_else(|| panic!("{ending} in {actions:?}"));
        self.post_and_follow(action, fields).await
    }

    /// Sends a form and opens the page that it leads to.
    pub async fn post_and_follow(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        self.get(answer.headers[LOCATION].to_str().unwrap()).await
    }

    pub async fn sign_in(&self, name: &str, password: &str) -> Page {
        self.post("/admin/sign-in", &[("name", name), ("password", password)]).await
    }

    /// The `Set-Cookie`-less value of the session's cookie.
    pub fn session(&self) -> Option<String> {
        self.cookie("ai-proxy-session")
    }

    /// The value of a cookie that the browser holds.
    pub fn cookie(&self, name: &str) -> Option<String> {
        use reqwest::cookie::CookieStore;
        let cookies = self.jar.cookies(&self.url.parse().unwrap())?;
        let cookies = cookies.to_str().unwrap().to_owned();
        let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }
}

/// What was answered.
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Page {
    pub async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    /// The texts of all elements that a CSS selector finds, spaces squeezed.
    pub fn all(&self, selector: &str) -> Vec<String> {
        let html = Html::parse_document(&self.body);
        let selector = Selector::parse(selector).unwrap();
        let text = |words: String| words.split_whitespace().collect::<Vec<_>>().join(" ");
        html.select(&selector).map(|found| text(found.text().collect())).collect()
    }

    /// The lines of a CSV file, after the mark by which Excel knows UTF-8.
    #[track_caller]
    pub fn table(&self) -> &str {
        self.body.strip_prefix('\u{feff}').unwrap_or_else(|| panic!("no mark: {}", self.body))
    }

    /// The text of the one element found.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let mut found = self.all(selector);
        assert_eq!(found.len(), 1, "{selector} in {}", self.body);
        found.remove(0)
    }

    /// An attribute of the first element found.
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        self.attributes(selector, name).into_iter().next()
    }

    /// An attribute of all elements found that have it.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let html = Html::parse_document(&self.body);
        let selector = Selector::parse(selector).unwrap();
        html.select(&selector).filter_map(|found| found.attr(name)).map(str::to_owned).collect()
    }

    /// What is said to be wrong with a field, beside it.
    #[track_caller]
    pub fn problem(&self, field: &str) -> String {
        assert_eq!(self.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", self.body);
        self.text(&format!(".field:has([name={field}][aria-invalid=true]) .problem"))
    }

    /// What the write before this page did.
    #[track_caller]
    pub fn flash(&self) -> String {
        self.text(".flash")
    }

    /// A form was sent where nobody is signed in.
    #[track_caller]
    pub fn says_signed_out(&self) {
        assert_eq!(self.status, StatusCode::FORBIDDEN, "{}", self.body);
        assert_eq!(self.text("h1"), "You were signed out");
    }

    #[track_caller]
    pub fn redirects_to(&self, path: &str) {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        assert_eq!(self.headers[LOCATION], path);
    }
}
