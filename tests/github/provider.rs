//! A GitHub that behaves like the real one on the wire, with people who type no password: the page of
//! `/login/oauth/authorize`, on which they choose an account or cancel, the token endpoint, which answers
//! errors with status 200 and checks the client secret, the redirect URI and PKCE, and `/user` below
//! `/api/v3`, where a GitHub Enterprise Server has it.
//!
//! Stands by itself: tests of the portal start it in their process, and
//! `cargo run --example github` for a browser.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

pub const CLIENT_ID: &str = "Ov23liFakeFakeFakeFa";
pub const CLIENT_SECRET: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the callback URL of the app ends with.
const CALLBACK: &str = "/github/callback";

type Reply = Response<Full<Bytes>>;
type Fields = HashMap<String, String>;

/// It ends when dropped.
pub struct GitHub {
    pub url: String,
    pub script: Arc<Mutex<Script>>,
    accepting: JoinHandle<()>,
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who is there.
#[derive(Clone)]
pub struct Person {
    pub id: u64,
    pub login: String,
    /// Most people have not said one.
    pub name: Option<String>,
}

impl Person {
    pub fn new(id: u64, login: &str, name: Option<&str>) -> Self {
        Self { id, login: login.to_owned(), name: name.map(str::to_owned) }
    }
}

/// How it behaves from now on.
pub struct Script {
    pub people: Vec<Person>,
    /// With what `/authorize` sends the browser back in place of a page: an error.
    pub error: Option<&'static str>,
    /// Answers programs as GitHub does when it is overloaded.
    pub is_down: bool,
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Person>,
}

/// What a code stands for, until it is exchanged.
struct Code {
    asked: Fields,
    person: Person,
}

impl GitHub {
    pub async fn start(listen: SocketAddr, people: Vec<Person>) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script {
            people,
            error: None,
            is_down: false,
            codes: HashMap::new(),
            tokens: HashMap::new(),
        }));
        let shared = script.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = shared.clone();
                let service = service_fn(move |request| {
                    let script = script.clone();
                    async move { Ok::<_, Infallible>(answer(&script, request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { url, script, accepting }
    }
}

async fn answer(script: &Mutex<Script>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut script = script.lock();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/login/oauth/authorize") => {
            authorize(&mut script, fields(head.uri.query().unwrap_or_default().as_bytes()))
        }
        _ if script.is_down => page(502, "Unicorn!", "<p>This page is taking too long to load."),
        (&Method::POST, "/login/oauth/access_token") => {
            let answer = token(&mut script, &fields(&body));
            encoded(&head.headers, answer)
        }
        (&Method::GET, "/api/v3/user") => user(&script, &head.headers),
        _ => json_reply(404, &json!({"message": "Not Found", "status": "404"})),
    }
}

fn authorize(script: &mut Script, mut asked: Fields) -> Reply {
    if asked.get("client_id").map(String::as_str) != Some(CLIENT_ID) {
        return page(404, "Page not found", "");
    }
    let redirect_uri = asked.get("redirect_uri").filter(|uri| uri.ends_with(CALLBACK));
    let Some(redirect_uri) = redirect_uri.and_then(|uri| Url::parse(uri).ok()) else {
        return page(400, "Be careful!", "<p>The redirect_uri is not associated with this app.");
    };
    let chosen = asked.remove("as");
    let state = asked.get("state").cloned().unwrap_or_default();
    let failed = |error: &str, description: &str| {
        let uri = "/apps/managing-oauth-apps/troubleshooting-authorization-request-errors/";
        let back = [
            ("error", error),
            ("error_description", description),
            ("error_uri", uri),
            ("state", &state),
        ];
        redirect(redirect_uri.clone(), &back)
    };
    if let Some(error) = script.error {
        return failed(error, "Something about the application.");
    }
    match chosen.as_deref() {
        None => ask(script, &asked),
        Some("nobody") => failed("access_denied", "The user has denied your application access."),
        Some(number) => {
            let person = number.parse().ok().and_then(|n: usize| script.people.get(n)).cloned();
            let Some(person) = person else { return page(404, "Page not found", "") };
            let code = hex(&random())[..20].to_owned();
            script.codes.insert(code.clone(), Code { asked, person });
            redirect(redirect_uri, &[("code", &code), ("state", &state)])
        }
    }
}

fn ask(script: &Script, asked: &Fields) -> Reply {
    let link = |chosen: &str, text: &str| {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(asked).append_pair("as", chosen);
        let query = query.finish().replace('&', "&amp;");
        format!("<p><a href=\"?{query}\">{text}</a></p>")
    };
    let people = script.people.iter().enumerate();
    let people: String =
        people.map(|(number, person)| link(&number.to_string(), &person.login)).collect();
    page(200, "Select user to authorize", &(people + &link("nobody", "Cancel")))
}

/// The answer to a code. GitHub's errors have the status 200.
fn token(script: &mut Script, given: &Fields) -> (u16, Value) {
    let field = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let refuse = |error: &str, description: &str| {
        let uri = "https://docs.github.com/apps/managing-oauth-apps/\
                   troubleshooting-oauth-app-access-token-request-errors/";
        let text = json!({"error": error, "error_description": description, "error_uri": uri});
        (200, text)
    };
    if field("client_id") != CLIENT_ID {
        return (404, json!({"error": "Not Found"}));
    }
    if field("client_secret") != CLIENT_SECRET {
        let text = "The client_id and/or client_secret passed are incorrect.";
        return refuse("incorrect_client_credentials", text);
    }
    let bad = || refuse("bad_verification_code", "The code passed is incorrect or expired.");
    let Some(Code { asked, person }) = script.codes.remove(field("code")) else { return bad() };
    if asked.get("redirect_uri") != given.get("redirect_uri") {
        let text = "The redirect_uri MUST match the registered callback URL for this application.";
        return refuse("redirect_uri_mismatch", text);
    }
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, field("code_verifier").as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(digest.as_ref());
    if asked.get("code_challenge_method").is_none_or(|method| method != "S256")
        || asked.get("code_challenge") != Some(&challenge)
    {
        return bad();
    }
    let token = format!("gho_{}", &hex(&random())[..36]);
    script.tokens.insert(token.clone(), person);
    (200, json!({"access_token": token, "token_type": "bearer", "scope": ""}))
}

/// As JSON where that is accepted, as a form where not.
fn encoded(headers: &HeaderMap, (status, answer): (u16, Value)) -> Reply {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("application/json")) {
        return json_reply(status, &answer);
    }
    let pairs = answer.as_object().into_iter().flatten();
    let pairs = pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default()));
    let form = Serializer::new(String::new()).extend_pairs(pairs).finish();
    reply(status, "application/x-www-form-urlencoded; charset=utf-8", form)
}

fn user(script: &Script, headers: &HeaderMap) -> Reply {
    if !headers.contains_key(USER_AGENT) {
        let text = "Request forbidden by administrative rules. Please make sure your request has a \
                    User-Agent header.";
        return reply(403, "text/plain", text.to_owned());
    }
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| script.tokens.get(token)) {
        None => json_reply(401, &json!({"message": "Bad credentials", "status": "401"})),
        Some(Person { id, login, name }) => json_reply(
            200,
            &json!({"login": login, "id": id, "node_id": "MDQ6VXNlcg==", "type": "User",
                    "site_admin": false, "name": name, "company": null, "email": null}),
        ),
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fields(encoded: &[u8]) -> Fields {
    parse(encoded).into_owned().collect()
}

fn redirect(mut to: Url, fields: &[(&str, &str)]) -> Reply {
    to.query_pairs_mut().extend_pairs(fields);
    let mut answer = reply(302, "text/html; charset=utf-8", String::new());
    answer.headers_mut().insert(LOCATION, to.as_str().parse().unwrap());
    answer
}

fn page(status: u16, title: &str, rest: &str) -> Reply {
    let text = format!("<!doctype html><title>{title}</title><h1>{title}</h1>{rest}");
    reply(status, "text/html; charset=utf-8", text)
}

fn json_reply(status: u16, value: &Value) -> Reply {
    reply(status, "application/json; charset=utf-8", value.to_string())
}

fn reply(status: u16, kind: &'static str, text: String) -> Reply {
    let mut reply = Response::new(Full::from(text));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
    reply
}
