//! Client ID Metadata Documents: the `client_id` is the URL of a document in which the client describes
//! itself, so the host of the URL vouches for it.
//!
//! Anybody can have us fetch a URL by opening a page. So only public addresses are asked, whatever the
//! endpoint policy is, few at once, and the result is kept for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;
use url::Url;

use super::client::Client;
use super::registration::described;
use crate::clock::{HOUR_MS, MINUTE_MS};
use crate::net::client::{self, ClientError, ExchangeError, Limits, TLS_HANDSHAKE};
use crate::net::{EndpointPolicy, source_network};
use crate::turns::{Bounds, Turns};

/// Two steps of connecting that time out fit into [`PATIENCE`], so that no connection is told from a slow
/// server.
const LIMITS: Limits =
    Limits { connect: Duration::from_secs(2), answer: PATIENCE, largest: 10 * 1024 };

/// How long all of it may take, name look-up and TLS included.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a document is good for, whatever its headers say.
const SHORTEST_MS: i64 = 5 * MINUTE_MS;
const LONGEST_MS: i64 = 24 * HOUR_MS;

/// How long nobody asks again after a failure.
const FAILED_MS: i64 = MINUTE_MS;

/// Documents that are kept.
const KEPT: usize = 256;

/// The result of reading a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    Client(Client),
    /// No connection could be made, as on a network without internet.
    Unreached,
    /// It is not there, too large or late, or describes no client of this URL.
    Unusable,
    /// Too many are being fetched at once.
    Busy,
}

/// The documents that were fetched lately.
pub(super) struct Documents {
    policy: EndpointPolicy,
    limits: Limits,
    kept: Mutex<HashMap<String, Kept>>,
    turns: Turns<IpAddr>,
}

struct Kept {
    until: i64,
    fetched: Fetched,
}

impl Default for Documents {
    fn default() -> Self {
        let bounds = Bounds {
            at_once: 16,
            each: 4,
            waiting: 256,
            waiting_each: 64,
            patience: Duration::from_secs(5),
        };
        Self {
            policy: EndpointPolicy::Public,
            limits: LIMITS,
            kept: Mutex::default(),
            turns: Turns::new(bounds),
        }
    }
}

impl Documents {
    /// The client that the document at this URL describes, for somebody at `source`.
    pub(super) async fn find(&self, url: &Url, source: IpAddr, now_ms: i64) -> Fetched {
        if let Some(known) = self.known(url, now_ms) {
            return known;
        }
        let Ok(_turn) = self.turns.take(&source_network(source)).await else {
            return Fetched::Busy;
        };
        // While this one waited, another may have fetched it.
        if let Some(known) = self.known(url, now_ms) {
            return known;
        }
        let answer = tokio::time::timeout(self.limits.answer, self.fetch(url)).await;
        let (fetched, good_ms) = match answer {
            Ok(answer) => judge(url, answer),
            // Nobody knows how far it came: not answering must not be a way to stay unproven.
            Err(_) => (Fetched::Unusable, FAILED_MS),
        };
        self.keep(url, Kept { until: now_ms + good_ms, fetched: fetched.clone() }, now_ms);
        fetched
    }

    fn known(&self, url: &Url, now_ms: i64) -> Option<Fetched> {
        let kept = self.kept.lock();
        let known = kept.get(url.as_str()).filter(|known| known.until > now_ms)?;
        Some(known.fetched.clone())
    }

    fn keep(&self, url: &Url, new: Kept, now_ms: i64) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT {
            kept.retain(|_, known| known.until > now_ms);
        }
        if kept.len() >= KEPT {
            let first = kept.iter().min_by_key(|(_, known)| known.until);
            if let Some(first) = first.map(|(url, _)| url.clone()) {
                kept.remove(&first);
            }
        }
        kept.insert(url.to_string(), new);
    }

    async fn fetch(&self, url: &Url) -> Result<Response<Bytes>, ExchangeError> {
        let request = client::request(url, client::path_and_query(url), Method::GET, Bytes::new());
        let mut request = request.map_err(|_| ClientError::BadUrl)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        client::exchange(url, self.policy, &self.limits, request).await
    }
}

/// What an answer is worth, and for how many milliseconds.
fn judge(url: &Url, answer: Result<Response<Bytes>, ExchangeError>) -> (Fetched, i64) {
    let answer = match answer {
        Ok(answer) if answer.status() == StatusCode::OK => answer,
        Err(ExchangeError::Connect(error)) if is_unreached(&error) => {
            return (Fetched::Unreached, FAILED_MS);
        }
        _ => return (Fetched::Unusable, FAILED_MS),
    };
    match read(url, answer.body()) {
        Some(client) => (Fetched::Client(client), good_ms(answer.headers())),
        None => (Fetched::Unusable, FAILED_MS),
    }
}

/// Whether there is no way to the host. One at an address that is refused is reached, but not asked.
fn is_unreached(error: &ClientError) -> bool {
    match error {
        ClientError::Dns { .. } | ClientError::Refused { .. } | ClientError::Unreachable { .. } => {
            true
        }
        // Who holds the handshake up has been reached.
        ClientError::TimedOut { what, .. } => *what != TLS_HANDSHAKE,
        _ => false,
    }
}

/// The client of a document that says it is at this URL.
fn read(url: &Url, document: &[u8]) -> Option<Client> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let is_its_own = document.get("client_id").and_then(Value::as_str) == Some(url.as_str());
    let client = described(&document).filter(|_| is_its_own)?;
    (!client.redirect_uris.is_empty()).then_some(client)
}

/// How long a document may be kept by what came with it.
fn good_ms(headers: &HeaderMap) -> i64 {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let seconds = directives
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.trim().strip_prefix("max-age="))
        .find_map(|seconds| seconds.parse::<i64>().ok());
    seconds.unwrap_or(0).saturating_mul(1000).clamp(SHORTEST_MS, LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    const URL: &str = "https://app.example/client.json";

    fn document(id: &str, uri: &str) -> String {
        json!({"client_id": id, "client_name": "App", "redirect_uris": [uri]}).to_string()
    }

    fn judged(status: u16, headers: &[(&str, &str)], body: &str) -> (Fetched, i64) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        judge(&URL.parse().unwrap(), Ok(answer.body(Bytes::from(body.to_owned())).unwrap()))
    }

    #[test]
    fn a_document_describes_the_client_at_its_own_url_and_nobody_else() {
        let good = document(URL, "https://app.example/cb");
        let (Fetched::Client(client), SHORTEST_MS) = judged(200, &[], &good) else { panic!() };
        assert_eq!((&*client.name, client.redirect_uris.len()), ("App", 1));
        for lie in [
            &document("https://other.example/client.json", "https://app.example/cb"),
            &document("https://app.example/client.json/", "https://app.example/cb"),
            &document(URL, "javascript:alert(1)"),
            "{}",
            "[]",
            "<html>",
        ] {
            assert_eq!(judged(200, &[], lie), (Fetched::Unusable, FAILED_MS), "{lie}");
        }
        for status in [201, 204, 301, 302, 307, 404, 500] {
            let elsewhere = [("location", "https://other.example/client.json")];
            assert_eq!(judged(status, &elsewhere, &good).0, Fetched::Unusable, "{status}");
        }
    }

    #[test]
    fn it_is_kept_as_its_headers_say_within_bounds() {
        let good = document(URL, "https://app.example/cb");
        for (header, ms) in [
            ("max-age=0", SHORTEST_MS),
            ("no-store", SHORTEST_MS),
            ("public, max-age=3600", 3_600_000),
            ("max-age=31536000, immutable", LONGEST_MS),
            ("max-age=99999999999999999", LONGEST_MS),
            ("max-age=soon", SHORTEST_MS),
        ] {
            assert_eq!(judged(200, &[("cache-control", header)], &good).1, ms, "{header}");
        }
    }

    #[test]
    fn only_where_no_connection_can_be_made_nothing_speaks_against_it() {
        let url: Url = URL.parse().unwrap();
        let of = |error: ClientError| judge(&url, Err(ExchangeError::Connect(error))).0;
        let host = || "app.example".to_owned();
        assert_eq!(of(ClientError::Dns { host: host() }), Fetched::Unreached);
        assert_eq!(of(ClientError::Refused { authority: host() }), Fetched::Unreached);
        let private = ClientError::AddressRefused { host: host(), address: [10, 0, 0, 1].into() };
        assert_eq!(of(private), Fetched::Unusable);
        let late = |what| ClientError::TimedOut { what, limit: PATIENCE };
        assert_eq!(of(late("connecting")), Fetched::Unreached);
        assert_eq!(of(late("the TLS handshake")), Fetched::Unusable);
        let tls = ClientError::Tls { authority: host(), reason: "expired".into() };
        assert_eq!(of(tls), Fetched::Unusable);
        assert_eq!(judge(&url, Err(ExchangeError::BrokenOff)).0, Fetched::Unusable, "too large");
    }

    #[tokio::test]
    async fn a_private_address_is_not_asked_and_what_came_of_it_is_kept_for_a_minute() {
        let documents = Documents::default();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/client.json", server.local_addr().unwrap());
        let url: Url = url.parse().unwrap();
        let source = "192.0.2.1".parse().unwrap();
        assert_eq!(documents.find(&url, source, 0).await, Fetched::Unusable);
        assert_eq!(documents.known(&url, FAILED_MS - 1), Some(Fetched::Unusable));
        assert_eq!(documents.known(&url, FAILED_MS), None);
        let asked = server.accept();
        let asked = tokio::time::timeout(Duration::from_millis(50), asked).await;
        assert!(asked.is_err(), "nobody came");
    }

    /// What is made of the document at `path` of a server that answers each connection so, or not at all;
    /// and how often it was asked.
    async fn fetched(path: &str, answer: impl Fn(&str) -> Option<String>) -> (Fetched, usize) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{path}", server.local_addr().unwrap());
        let limits = Limits { answer: Duration::from_millis(500), ..LIMITS };
        let documents = Documents { policy: EndpointPolicy::Any, limits, ..Documents::default() };
        let (asked, source) = (AtomicUsize::new(0), "192.0.2.1".parse().unwrap());
        let serve = async {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = server.accept().await.unwrap();
                asked.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&url) {
                    // The other side may have seen enough before the end.
                    drop(stream.write_all(answer.as_bytes()).await);
                }
                open.push(stream);
            }
        };
        let parsed = url.parse().unwrap();
        let find = documents.find(&parsed, source, 0);
        let fetched = tokio::select! { fetched = find => fetched, () = serve => unreachable!() };
        (fetched, asked.into_inner())
    }

    fn answering(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_server_that_redirects_floods_stalls_or_lies_is_no_client() {
        let own = |url: &str| document(url, "https://app.example/cb");
        let good = |url: &str| Some(answering("200 OK", &own(url)));
        assert!(matches!(fetched("/client.json", good).await, (Fetched::Client(_), 1)));

        let redirects =
            |url: &str| Some(answering(&format!("302 Found\r\nlocation: {url}?again"), &own(url)));
        assert_eq!(fetched("/client.json", redirects).await, (Fetched::Unusable, 1), "one request");
        let padded = |url: &str, size: usize| own(url) + &" ".repeat(size - own(url).len());
        let fits = |url: &str| Some(answering("200 OK", &padded(url, 10 * 1024)));
        assert!(matches!(fetched("/client.json", fits).await.0, Fetched::Client(_)));
        let floods = |url: &str| Some(answering("200 OK", &padded(url, 10 * 1024 + 1)));
        assert_eq!(fetched("/client.json", floods).await.0, Fetched::Unusable);
        let unsized_flood =
            |url: &str| Some(format!("HTTP/1.1 200 OK\r\n\r\n{}", padded(url, 1024 * 1024)));
        assert_eq!(fetched("/client.json", unsized_flood).await.0, Fetched::Unusable);
        assert_eq!(fetched("/client.json", |_| None).await.0, Fetched::Unusable, "silent");
        let stalls = |url: &str| {
            let answer = answering("200 OK", &own(url));
            Some(answer[..answer.len() - 1].to_owned())
        };
        assert_eq!(fetched("/client.json", stalls).await.0, Fetched::Unusable);
        let lies = |_: &str| Some(answering("200 OK", &own("https://other.example/client.json")));
        assert_eq!(fetched("/client.json", lies).await.0, Fetched::Unusable);
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let documents = Documents::default();
        for n in 0..=KEPT {
            let url = format!("https://app.example/{n}").parse().unwrap();
            let until = 1_000 + i64::try_from(n).unwrap();
            documents.keep(&url, Kept { until, fetched: Fetched::Unusable }, 0);
        }
        assert_eq!(documents.kept.lock().len(), KEPT);
        assert!(!documents.kept.lock().contains_key("https://app.example/0"));
    }
}
