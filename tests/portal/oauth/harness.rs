//! A workshop with an attendee, and a client that signs in as them.

use ai_proxy::catalog::oauth::{self, NewCode, NewGrant};
use ai_proxy::clock::now_ms;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::workshop::Workshop;

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Where the client listens.
pub const CALLBACK: &str = "http://localhost:33418/callback";

/// An event with the MCP server `demo` and one attendee.
pub struct Room<'p> {
    pub portal: &'p Portal,
    pub workshop: Workshop<'p>,
    pub event: String,
    pub attendee: String,
    pub key: SecretString,
    _server: Server,
}

impl<'p> Room<'p> {
    pub async fn open(portal: &'p Portal) -> Self {
        portal.administrator("Ada").await;
        let workshop = Workshop::of(portal, "Ada").await;
        let server = Server::start().await;
        let demo = workshop.resource("demo", &server.url(), &"k".into()).await;
        let event = workshop.event(&[&demo], |_| {}).await;
        let issued = workshop.attendee(&event).await;
        workshop.comes_to(&issued.api_key, "demo", "ok").await;
        let (attendee, key) = (issued.attendee_id, issued.api_key);
        Self { portal, workshop, event, attendee, key, _server: server }
    }

    /// A client that has registered.
    pub async fn client(&self) -> Client {
        Client::register(self.portal).await
    }

    /// The code that the client gets once the attendee has allowed it the deployment.
    pub async fn code(&self, client: &Client, deployment: Option<&str>) -> String {
        let app = &self.portal.app;
        let grant = NewGrant {
            attendee_id: &self.attendee,
            client_id: &client.id,
            client_name: "Editor",
            redirect_host: "localhost",
            deployment,
            shared_code: None,
            is_proven: true,
            session_id: &self.attendee,
        };
        // In a session with the attendee's own id.
        let sign_in = sqlx::query(
            "insert into attendee_session (digest, attendee_id, way, agent, created_at, last_seen_at)
             values ($1, $1, 'joined', 'Firefox', 1, 1) on conflict do nothing",
        );
        sign_in.bind(&self.attendee).execute(app.db.writer()).await.unwrap();
        let code = NewCode { redirect_uri: CALLBACK, challenge: CHALLENGE };
        let code = oauth::authorize(&app.db, &app.vault, &grant, &code, app.clock.now_ms()).await;
        code.unwrap().expose_secret().to_owned()
    }

    /// How a call with the access token fares: `ok`, the code of its refusal, or `cut off`: a call that is
    /// under way when its grant ends gets no whole answer.
    pub async fn call(&self, access: &str) -> String {
        let call =
            self.portal.visitor().client.post(format!("{}/api/v1/mcp/demo", self.portal.url));
        let call = call.bearer_auth(access).header("content-type", "application/json");
        let call = call.header("accept", "application/json, text/event-stream");
        let ping =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}});
        let call = call.body(ping.to_string());
        let answer = async { call.send().await?.json::<Value>().await };
        let Ok(answer) = answer.await else { return "cut off".to_owned() };
        answer["error"]["data"]["code"].as_str().unwrap_or("ok").to_owned()
    }

    /// Calls until it fares so.
    pub async fn comes_to(&self, access: &str, expected: &str) {
        let started = std::time::Instant::now();
        while self.call(access).await != expected {
            assert!(started.elapsed().as_secs() < 20, "never {expected}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// A client, as a program.
pub struct Client {
    pub id: String,
    http: Visitor,
}

impl Client {
    pub async fn register(portal: &Portal) -> Self {
        let http = portal.visitor();
        let metadata = json!({"client_name": "Editor", "redirect_uris": [CALLBACK]});
        let answer = http.client.post(format!("{}/register", http.url));
        let answer = Page::read(answer.body(metadata.to_string()).send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let id = json_of(&answer)["client_id"].as_str().unwrap().to_owned();
        Self { id, http }
    }

    /// Sends a form.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.http.client.post(format!("{}{path}", self.http.url)).form(fields);
        Page::read(request.send().await.unwrap()).await
    }

    /// Exchanges a code as it should be, but for what `set` changes of the form. An empty value leaves
    /// a field out.
    pub async fn redeem(&self, code: &str, set: &[(&str, &str)]) -> Page {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("client_id", &self.id),
            ("code_verifier", VERIFIER),
        ];
        self.post("/token", &with(&fields, set)).await
    }

    pub async fn refresh(&self, token: &str, set: &[(&str, &str)]) -> Page {
        let fields =
            [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &*self.id)];
        self.post("/token", &with(&fields, set)).await
    }
}

fn with<'a>(fields: &[(&'a str, &'a str)], set: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = fields.iter().filter(|(name, _)| !set.iter().any(|(other, _)| other == name));
    kept.chain(set).copied().collect()
}

/// Access and refresh token of a good answer.
#[track_caller]
pub fn tokens(answer: &Page) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = json_of(answer);
    assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("mcp")));
    assert_eq!(body["expires_in"], 43_200);
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    assert!(access.starts_with("aipx_at_") && refresh.starts_with("aipx_rt_"));
    (access, refresh)
}

/// A refusal as RFC 6749 has it.
#[track_caller]
pub fn refused(answer: &Page, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let body = json_of(answer);
    assert_eq!(body["error"], code, "{body}");
    assert!(body["error_description"].as_str().unwrap().ends_with('.'), "{body}");
}

#[track_caller]
pub fn json_of(answer: &Page) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

/// Sets the portal's clock `ms` after what it really is.
pub fn at(portal: &Portal, ms: i64) {
    portal.app.clock.set(now_ms() + ms);
}
