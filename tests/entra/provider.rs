//! An identity provider that behaves like Microsoft Entra ID on the wire, with
//! people who type no password: discovery, `/authorize`, `/token` (which checks the
//! client secret, the redirect URI and PKCE), and keys that change.
//!
//! Stands by itself: tests of the portal start it in their process, and
//! `cargo run --example entra` for a browser.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
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

pub const TENANT: &str = "72f988bf-0000-4000-8000-2d7cd011db47";
pub const CLIENT_ID: &str = "6731de76-0000-4000-8000-45c2a3c1e5b0";
pub const CLIENT_SECRET: &str = "Abc8Q~client.secret_of-the-fake";

type Reply = Response<Full<Bytes>>;
type Fields = HashMap<String, String>;

/// A provider; it ends when dropped.
pub struct Provider {
    pub url: String,
    pub script: Arc<Mutex<Script>>,
    accepting: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who is there.
#[derive(Clone)]
pub struct Person {
    pub tenant: String,
    pub object: String,
    pub name: String,
}

impl Person {
    pub fn new(name: &str, object: &str) -> Self {
        Self { tenant: TENANT.to_owned(), object: object.to_owned(), name: name.to_owned() }
    }
}

/// Makes a token of claims with the newest key.
pub type Sign = Box<dyn Fn(&Key, &Value) -> String + Send>;

/// How it behaves from now on.
pub struct Script {
    /// The first signs in at once; where there are several, a page asks who.
    pub people: Vec<Person>,
    /// What `/authorize` answers in place of a code: error and description.
    pub error: Option<(&'static str, &'static str)>,
    /// Changes the claims before they are signed.
    pub alter: Box<dyn Fn(&mut Value) + Send>,
    pub sign: Sign,
    /// What is published; the last one signs.
    pub keys: Vec<Key>,
    /// How often the keys were fetched.
    pub fetched: u32,
    /// When people signed in here, by object id (UTC seconds).
    since: HashMap<String, i64>,
    codes: HashMap<String, Code>,
}

/// What a code stands for, until it is exchanged.
struct Code {
    asked: Fields,
    person: Person,
    auth_time: i64,
}

/// A key that tokens are signed with.
pub struct Key {
    pub id: String,
    pair: KeyPair,
}

impl Key {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), pair: KeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    /// The modulus, as it is published.
    pub fn modulus(&self) -> String {
        let modulus = self.pair.public_key().modulus();
        encode(modulus.big_endian_without_leading_zero())
    }

    fn published(&self, issuer: &str) -> Value {
        let exponent = self.pair.public_key().exponent();
        let exponent = encode(exponent.big_endian_without_leading_zero());
        json!({"kty": "RSA", "use": "sig", "kid": self.id, "x5t": self.id, "n": self.modulus(),
               "e": exponent, "issuer": issuer})
    }

    /// A token signed with RS256, as Entra's are.
    pub fn sign(&self, claims: &Value) -> String {
        let text = unsigned(&json!({"typ": "JWT", "alg": "RS256", "kid": self.id}), claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
        format!("{text}.{}", encode(&signature))
    }
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims of a token: what is signed.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

impl Provider {
    pub async fn start(listen: SocketAddr, people: Vec<Person>) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script {
            people,
            error: None,
            alter: Box::new(|_| {}),
            sign: Box::new(Key::sign),
            keys: vec![Key::new("first")],
            fetched: 0,
            since: HashMap::new(),
            codes: HashMap::new(),
        }));
        let shared = (url.clone(), script.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (url, script) = shared.clone();
                let service = service_fn(move |request| {
                    let (url, script) = (url.clone(), script.clone());
                    async move { Ok::<_, Infallible>(answer(&url, &script, request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { url, script, accepting }
    }
}

async fn answer(url: &str, script: &Mutex<Script>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let Some((tenant, rest)) = path[1..].split_once('/') else { return text(404, "not here") };
    let mut script = script.lock();
    match (&head.method, rest) {
        (&Method::GET, "v2.0/.well-known/openid-configuration") => json_reply(
            StatusCode::OK,
            &json!({
                "issuer": issuer(url, tenant),
                "authorization_endpoint": format!("{url}/{tenant}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{url}/{tenant}/oauth2/v2.0/token"),
                "jwks_uri": format!("{url}/{tenant}/discovery/v2.0/keys"),
                "response_modes_supported": ["query", "fragment", "form_post"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        ),
        (&Method::GET, "discovery/v2.0/keys") => {
            script.fetched += 1;
            let issuer = issuer(url, tenant);
            let mut keys: Vec<_> = script.keys.iter().map(|key| key.published(&issuer)).collect();
            keys.insert(0, json!({"kty": "EC", "kid": "other", "crv": "P-256", "x": "", "y": ""}));
            json_reply(StatusCode::OK, &json!({ "keys": keys }))
        }
        (&Method::GET, "oauth2/v2.0/authorize") => {
            authorize(&mut script, fields(head.uri.query().unwrap_or_default().as_bytes()))
        }
        (&Method::POST, "oauth2/v2.0/token") => token(url, &mut script, &fields(&body)),
        _ => text(404, "not here"),
    }
}

/// Of several tenants, it holds what stands for one.
fn issuer(url: &str, tenant: &str) -> String {
    let tenant = if tenant == "organizations" { "{tenantid}" } else { tenant };
    format!("{url}/{tenant}/v2.0")
}

/// As Entra does, it tells the person and not the application what is wrong
/// with the application.
fn authorize(script: &mut Script, mut asked: Fields) -> Reply {
    for (name, value) in [
        ("client_id", CLIENT_ID),
        ("response_type", "code"),
        ("response_mode", "query"),
        ("code_challenge_method", "S256"),
        ("scope", "openid profile"),
    ] {
        if asked.get(name).map(String::as_str) != Some(value) {
            return text(400, &format!("AADSTS900144: {name} must be {value}"));
        }
    }
    let redirect_uri = asked.get("redirect_uri").filter(|uri| uri.ends_with("/entra/callback"));
    let Some(redirect_uri) = redirect_uri.and_then(|uri| Url::parse(uri).ok()) else {
        return text(400, "AADSTS50011: the redirect URI is not registered");
    };
    let state = asked.get("state").cloned().unwrap_or_default();
    if let Some((error, description)) = script.error {
        let back = [("error", error), ("error_description", description), ("state", &state)];
        return redirect(redirect_uri, &back);
    }
    let chosen = asked.remove("as").and_then(|number| number.parse::<usize>().ok());
    let only = (script.people.len() == 1).then_some(0);
    let now = jiff::Timestamp::now().as_second();
    let must_sign_in = script.must_sign_in(&asked, chosen.or(only), now);
    let Some(person) = chosen.or(only.filter(|_| !must_sign_in)) else {
        let title = if must_sign_in { "Sign in again" } else { "Pick an account" };
        return ask(script, &asked, title);
    };
    let Some(person) = script.people.get(person).cloned() else { return text(400, "nobody") };
    let since = script.since.entry(person.object.clone()).or_insert(now);
    if must_sign_in {
        *since = now;
    }
    let auth_time = *since;
    let code = format!("0.{}", encode(&random()));
    script.codes.insert(code.clone(), Code { asked, person, auth_time });
    redirect(redirect_uri, &[("code", &code), ("state", &state), ("session_state", "s")])
}

impl Script {
    /// Whether it is not enough to be known here, by what is asked (OpenID Connect Core 1.0, 3.1.2.1).
    fn must_sign_in(&self, asked: &Fields, person: Option<usize>, now: i64) -> bool {
        let max_age = asked.get("max_age").and_then(|seconds| seconds.parse::<i64>().ok());
        let since = person
            .and_then(|number| self.people.get(number))
            .and_then(|person| self.since.get(&person.object));
        asked.get("prompt").is_some_and(|prompt| prompt == "login")
            || max_age.zip(since).is_some_and(|(max_age, since)| now - since > max_age)
    }
}

fn ask(script: &Script, asked: &Fields, title: &str) -> Reply {
    let mut page = format!("<!doctype html><title>{title}</title><h1>{title}</h1>");
    for (number, person) in script.people.iter().enumerate() {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(asked).append_pair("as", &number.to_string());
        let query = query.finish().replace('&', "&amp;");
        page += &format!("<p><a href=\"?{query}\">{}</a></p>", person.name);
    }
    let mut reply = text(200, &page);
    reply.headers_mut().insert(CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap());
    reply
}

fn token(url: &str, script: &mut Script, given: &Fields) -> Reply {
    let field = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    if field("client_secret") != CLIENT_SECRET || field("client_id") != CLIENT_ID {
        return refuse(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.");
    }
    let Some(Code { asked, person, auth_time }) = script.codes.remove(field("code")) else {
        return refuse(400, "invalid_grant", "AADSTS54005: the code was already redeemed.");
    };
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, field("code_verifier").as_bytes());
    if field("grant_type") != "authorization_code"
        || asked.get("redirect_uri") != given.get("redirect_uri")
        || asked.get("code_challenge") != Some(&encode(digest.as_ref()))
    {
        return refuse(400, "invalid_grant", "AADSTS501481: The Code_Verifier does not match.");
    }
    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({
        "ver": "2.0", "iss": issuer(url, &person.tenant), "aud": CLIENT_ID,
        "sub": encode(person.object.as_bytes()), "tid": person.tenant, "oid": person.object,
        "name": person.name, "preferred_username": "somebody@example.org",
        "iat": now, "nbf": now, "exp": now + 3600, "nonce": asked.get("nonce"),
    });
    // As the standard has it (2): only where it was asked for.
    if asked.contains_key("max_age") {
        claims["auth_time"] = json!(auth_time);
    }
    (script.alter)(&mut claims);
    let key = script.keys.last().expect("a key");
    let answer = json!({"token_type": "Bearer", "scope": "openid profile", "expires_in": 3600,
                        "access_token": "not for you", "id_token": (script.sign)(key, &claims)});
    json_reply(StatusCode::OK, &answer)
}

fn refuse(status: u16, error: &str, description: &str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    json_reply(status, &json!({"error": error, "error_description": description}))
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn fields(encoded: &[u8]) -> Fields {
    parse(encoded).into_owned().collect()
}

fn redirect(mut to: Url, fields: &[(&str, &str)]) -> Reply {
    to.query_pairs_mut().extend_pairs(fields);
    let mut reply = text(302, "");
    reply.headers_mut().insert(LOCATION, to.as_str().parse().unwrap());
    reply
}

fn json_reply(status: StatusCode, value: &Value) -> Reply {
    let mut reply = text(status.as_u16(), &value.to_string());
    reply.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    reply
}

fn text(status: u16, text: &str) -> Reply {
    let mut reply = Response::new(Full::from(text.to_owned()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply
}
