//! Where a browser may be sent with a code: which URIs a client may register, and when one in a request
//! is a registered one.
//!
//! They are compared letter for letter, except those on loopback: an app on the person's own machine
//! listens where it finds a port, and calls the machine by any of its names (RFC 8252 §7.3).

use url::{Host, Url, form_urlencoded};

/// The longest that is taken, in bytes.
const LONGEST: usize = 512;

/// Schemes that browsers treat in ways of their own, so no app can be behind them.
const NO_APPS: [&str; 14] = [
    "javascript",
    "data",
    "file",
    "blob",
    "filesystem",
    "about",
    "vbscript",
    "view-source",
    "ftp",
    "ws",
    "wss",
    "mailto",
    "tel",
    "sms",
];

/// A redirect URI of a form that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    /// As it was sent.
    text: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A web site: its host, and its port if that is not the default one.
    Site(String),
    /// An app on the machine of the browser: path and query there.
    Loopback(String),
    /// An app that has a scheme for itself.
    App(String),
}

impl RedirectUri {
    /// Reads the URI of a request. `None`: no browser is sent there.
    pub fn parse(text: &str) -> Option<Self> {
        let is_sendable = text.len() <= LONGEST
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#".contains(&byte));
        if !is_sendable {
            return None;
        }
        let url = Url::parse(text).ok()?;
        // Browsers find a host behind any number of slashes, and people do not.
        let has_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
        let is_alone = has_host && url.username().is_empty() && url.password().is_none();
        let place = match url.scheme() {
            "https" if is_alone => {
                let host = url.host_str()?;
                Place::Site(url.port().map_or_else(|| host.into(), |port| format!("{host}:{port}")))
            }
            "http" if is_alone && is_loopback(&url) => {
                let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
                Place::Loopback(format!("{}{query}", url.path()))
            }
            "https" | "http" => return None,
            scheme if NO_APPS.contains(&scheme) => return None,
            scheme => Place::App(scheme.to_owned()),
        };
        Some(Self { text: text.to_owned(), place })
    }

    /// Reads a URI that a client registers. On loopback, its port may be `*`.
    pub fn parse_registered(text: &str) -> Option<Self> {
        let any_port = || {
            let (host, rest) = text.strip_prefix("http://")?.split_once(":*")?;
            (!host.contains('/')).then(|| format!("http://{host}{rest}"))
        };
        Self::parse(text).or_else(|| Self::parse(&any_port()?))
    }

    /// Whether this URI, of a request, is the registered one.
    pub fn is(&self, registered: &Self) -> bool {
        match (&self.place, &registered.place) {
            (Place::Loopback(here), Place::Loopback(there)) => here == there,
            _ => self.text == registered.text,
        }
    }

    /// The shortest URI that is the same to [`is`](Self::is).
    pub fn shortest(&self) -> String {
        match &self.place {
            Place::Loopback(path) => format!("http://localhost{path}"),
            _ => self.text.clone(),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it leads to whatever app listens on the machine of the browser.
    pub fn is_loopback(&self) -> bool {
        matches!(self.place, Place::Loopback(_))
    }

    /// Where it leads, for people: a host, or the scheme of an app.
    pub fn host(&self) -> &str {
        match &self.place {
            Place::Site(host) => host,
            Place::Loopback(_) => "localhost",
            Place::App(scheme) => scheme,
        }
    }

    /// The URI with these parameters added to its query.
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let joint = match self.text.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let added =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{}{joint}{added}", self.text)
    }
}

/// The names that a machine has for itself in a redirect URI.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(sent: &str, registered: &str) -> bool {
        let registered = RedirectUri::parse_registered(registered).expect(registered);
        RedirectUri::parse(sent).is_some_and(|sent| sent.is(&registered))
    }

    #[test]
    fn on_loopback_any_name_and_port_is_the_same() {
        for registered in [
            "http://localhost/callback",
            "http://127.0.0.1:33418/callback",
            "http://[::1]:0/callback",
            "http://localhost:*/callback",
            "http://127.0.0.1:*/callback",
        ] {
            for sent in ["http://localhost:1/callback", "http://[::1]/callback"] {
                assert!(is(sent, registered), "{sent} {registered}");
            }
            for other in [
                "https://localhost/callback",
                "http://localhost:1/callback/",
                "http://localhost:1/callback?x",
                "http://localhost:1/",
                "http://127.0.0.2/callback",
                "http://localhost.evil.example/callback",
                "http://localhost@evil.example/callback",
                "http://localhost:1@evil.example/callback",
                "http://localhost:*/callback",
                "http://localhost\\@evil.example/callback",
            ] {
                assert!(!is(other, registered), "{other} {registered}");
            }
        }
        assert!(is("http://localhost:1/", "http://127.0.0.1"));
        assert!(is("http://127.0.0.1:5", "http://localhost/"));
    }

    #[test]
    fn elsewhere_every_letter_counts() {
        let registered = "https://app.example/cb?x=1";
        assert!(is(registered, registered));
        for other in [
            "https://app.example/cb",
            "https://app.example/cb?x=1&y",
            "https://app.example/cb?x=1#f",
            "https://app.example:443/cb?x=1",
            "https://app.example:8443/cb?x=1",
            "https://App.example/cb?x=1",
            "https://app.example./cb?x=1",
            "https://app.example/./cb?x=1",
            "https://app.example.evil.example/cb?x=1",
            "https://evil@app.example/cb?x=1",
            "https://\u{430}pp.example/cb?x=1",
            "http://app.example/cb?x=1",
        ] {
            assert!(!is(other, registered), "{other}");
        }
        assert!(is("cursor://anysphere.mcp/cb", "cursor://anysphere.mcp/cb"));
        assert!(is("com.example.app:/cb", "com.example.app:/cb"));
        assert!(!is("cursor://anysphere.mcp/other", "cursor://anysphere.mcp/cb"));
    }

    #[test]
    fn nobody_is_sent_where_a_browser_runs_or_reads_what_it_finds() {
        for bad in [
            "",
            "/callback",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "blob:https://app.example/x",
            "view-source:https://app.example",
            "http://app.example/cb",
            "http://192.168.0.1/cb",
            "http://10.0.0.1:*/cb",
            "https:///cb",
            "https://app.example/cb#f",
            "https://u:p@app.example/cb",
            "https://app.example/a b",
            "https://app.example/\r\nlocation: x",
            "https://app.example:*/cb",
            "*",
        ] {
            assert_eq!(RedirectUri::parse_registered(bad), None, "{bad}");
        }
        assert_eq!(RedirectUri::parse(&format!("https://a.example/{}", "x".repeat(512))), None);
    }

    #[test]
    fn parameters_are_added_to_those_that_are_there() {
        for (uri, with) in [
            ("https://a.example", "https://a.example?code=a+b&state=%26"),
            ("https://a.example/cb?x=1", "https://a.example/cb?x=1&code=a+b&state=%26"),
            ("https://a.example/cb?", "https://a.example/cb?code=a+b&state=%26"),
            ("app:/cb", "app:/cb?code=a+b&state=%26"),
            ("app:/cb??", "app:/cb??&code=a+b&state=%26"),
        ] {
            let uri = RedirectUri::parse(uri).unwrap();
            assert_eq!(uri.with(&[("code", "a b"), ("state", "&")]), with);
        }
    }

    proptest! {
        #[test]
        fn what_is_added_leads_nowhere_else(text in "[ -~]{0,60}", state in ".{0,20}") {
            if let Some(uri) = RedirectUri::parse_registered(&text) {
                let url = Url::parse(&uri.with(&[("state", &state)])).unwrap();
                let before = Url::parse(uri.as_str()).unwrap();
                prop_assert_eq!((url.scheme(), url.host(), url.port(), url.path()),
                    (before.scheme(), before.host(), before.port(), before.path()));
                let last = url.query_pairs().last().map(|(name, value)| (name.into_owned(), value.into_owned()));
                prop_assert_eq!(last, Some(("state".to_owned(), state)));
                prop_assert!(uri.is(&RedirectUri::parse(&uri.shortest()).unwrap()));
            }
        }
    }
}
