//! Who a client says it is, by its `client_id`.
//!
//! The id of a registered client (RFC 7591) holds its name and redirect URIs itself, unsigned: anybody may
//! register anything, so a signature would prove nothing. No row is kept, and an id is good for ever:
//! clients keep theirs for years, and cannot drop one that a proxy has forgotten.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use url::Url;

use super::client_name;
use super::redirect_uri::RedirectUri;

/// The longest id, in bytes.
pub(super) const LONGEST: usize = 1024;

const PREFIX: &str = "aipx_c_";

/// A client as it was registered, or as its document describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// As it calls itself.
    pub name: String,
    pub redirect_uris: Vec<RedirectUri>,
}

impl Client {
    /// The registered URI that this one, of a request, is.
    pub fn registered(&self, sent: &RedirectUri) -> Option<&RedirectUri> {
        self.redirect_uris.iter().find(|registered| sent.is(registered))
    }
}

/// What a `client_id` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientId {
    /// It holds all that is known of the client.
    Registered(Client),
    /// It is the URL of a document that describes the client.
    Document(Url),
}

/// What the id of a registered client holds.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Held {
    n: String,
    r: Vec<String>,
}

impl ClientId {
    /// `None`: nobody has this id.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        if let Some(held) = text.strip_prefix(PREFIX) {
            let held: Held = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(held).ok()?).ok()?;
            let redirect_uris: Vec<_> =
                held.r.iter().filter_map(|uri| RedirectUri::parse_registered(uri)).collect();
            let client = Client { name: client_name::shown(&held.n), redirect_uris };
            return (!client.redirect_uris.is_empty()).then_some(Self::Registered(client));
        }
        let url = Url::parse(text).ok()?;
        let is_document = url.scheme() == "https"
            && url.path().len() > 1
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            // Nobody else's spelling of it: documents say their id letter for letter.
            && url.as_str() == text;
        is_document.then_some(Self::Document(url))
    }
}

/// The id of a client that registers with this name and these redirect URIs. `None`: they are too long.
pub(super) fn registered_id(client: &Client) -> Option<String> {
    let mut redirect_uris = Vec::new();
    for uri in client.redirect_uris.iter().map(RedirectUri::shortest) {
        if !redirect_uris.contains(&uri) {
            redirect_uris.push(uri);
        }
    }
    let held = Held { n: client.name.clone(), r: redirect_uris };
    let held = serde_json::to_vec(&held).ok()?;
    let id = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(held));
    (id.len() <= LONGEST).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(name: &str, redirect_uris: &[&str]) -> Client {
        let parsed = redirect_uris.iter().filter_map(|uri| RedirectUri::parse_registered(uri));
        Client { name: name.into(), redirect_uris: parsed.collect() }
    }

    fn id(held: &str) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(held))
    }

    #[test]
    fn an_id_holds_what_was_registered() {
        let uris = ["https://vscode.dev/redirect", "http://127.0.0.1:33418/", "http://localhost/"];
        let editor = client("Visual Studio Code", &uris);
        let id = registered_id(&editor).unwrap();
        assert_eq!(registered_id(&editor).unwrap(), id, "twice the same");
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let Some(ClientId::Registered(known)) = ClientId::parse(&id) else { panic!("{id}") };
        assert_eq!(known.name, "Visual Studio Code");
        assert_eq!(known.redirect_uris.len(), 2, "those on loopback are one");
        for sent in uris.iter().chain(&["http://[::1]:9/"]) {
            assert!(known.registered(&RedirectUri::parse(sent).unwrap()).is_some(), "{sent}");
        }
        let other = RedirectUri::parse("https://vscode.dev/redirect/evil").unwrap();
        assert_eq!(known.registered(&other), None);
        let uris: Vec<_> =
            (0..9).map(|n| format!("https://{n}.example/{}", "x".repeat(99))).collect();
        let uris: Vec<_> = uris.iter().map(String::as_str).collect();
        assert_eq!(registered_id(&client("x", &uris)), None, "it would be too long");
    }

    #[test]
    fn an_id_that_somebody_made_up_gets_no_further_than_a_registration() {
        let made = id(r#"{"n":"A\u0000\nB","r":["javascript:alert(1)","https://a.example/cb"]}"#);
        let Some(ClientId::Registered(known)) = ClientId::parse(&made) else { panic!() };
        assert_eq!(known, client("A B", &["https://a.example/cb"]));
        for bad in [
            "",
            "aipx_c_",
            "aipx_c_*",
            &id("x"),
            &id(r#"{"n":"x","r":[]}"#),
            &id(r#"{"n":"x","r":["javascript:alert(1)"]}"#),
            &id(r#"{"n":"x","r":["https://a.example"],"s":1}"#),
            &id(&format!(r#"{{"n":"{}","r":["https://a.example"]}}"#, "x".repeat(1024))),
            "0oa1",
        ] {
            assert_eq!(ClientId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_document_is_at_a_plain_https_url_with_a_path() {
        let good = "https://app.example/oauth/client.json";
        assert_eq!(ClientId::parse(good), Some(ClientId::Document(good.parse().unwrap())));
        for bad in [
            "http://app.example/client.json",
            "https://app.example",
            "https://app.example/",
            "https://app.example/client.json#x",
            "https://u@app.example/client.json",
            "https://app.example/../client.json",
            "https://APP.example/client.json",
            "https://app.example:443/client.json",
            " https://app.example/client.json",
        ] {
            assert_eq!(ClientId::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_id_is_read_or_refused(text in "(aipx_c_)?[ -~]{0,80}") {
            let _ = ClientId::parse(&text);
        }
    }
}
