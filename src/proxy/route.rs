//! The paths of the data plane, and what each serves.

use http::Method;

use super::tally::Family;

/// Whether a path is that of an attendee for front ends that others host. They are signed in as in a
/// browser, so pages and these have one side.
fn is_of_front_end(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/v1/attendee/event/") else { return false };
    let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
    !id.is_empty() && matches!(rest, "" | "register")
}

/// Whether a path is answered here, if only by a 404 that programs can read; all
/// others are pages. What MCP clients probe for authorisation servers must not
/// look like one.
pub fn is_of_data_plane(path: &str) -> bool {
    let Some(("", rest)) = path.split_once('/') else { return true };
    match rest.split_once('/').unwrap_or((rest, "")) {
        ("healthz" | "readyz" | "register" | "authorize" | "token" | "revoke", "") => true,
        ("api", rest) => rest != "admin" && !rest.starts_with("admin/") && !is_of_front_end(path),
        ("mcp" | ".well-known", _) => true,
        _ => false,
    }
}

/// Whether MCP clients ask for this path, after any 401, to find an authorisation
/// server: RFC 9728 and RFC 8414 put `.well-known` before or behind the path of the
/// server, RFC 7591 has `/register`. People are shown what the answer says.
fn is_sign_in_probe(path: &str) -> bool {
    if matches!(path.trim_end_matches('/'), "/register" | "/authorize" | "/token" | "/revoke") {
        return true;
    }
    // The dot is looked for first: that is far faster, and few paths have one.
    let well_known = path.contains('.').then(|| path.split_once("/.well-known/")).flatten();
    let Some((before, probed)) = well_known else {
        return path == "/.well-known";
    };
    before.is_empty() || probed.starts_with("oauth-") || probed.starts_with("openid-configuration")
}

/// What a request's path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'path> {
    /// `/api/v1/mcp/{deployment}{rest}`; `rest` is empty or begins with `/`.
    Mcp {
        deployment: &'path str,
        rest: &'path str,
    },
    /// What the caller's event offers.
    EventInfo,
    /// An event as anybody may see it.
    Event {
        id: &'path str,
    },
    /// The caller's own usage.
    Usage,
    /// The process is alive.
    Healthz,
    /// The process can serve.
    Readyz,
    /// What clients probe for a sign-in after a 401.
    SignIn,
    Unknown,
}

impl<'path> Route<'path> {
    /// Reads a path as it was sent; nothing is decoded here.
    pub fn of(path: &'path str) -> Self {
        if is_sign_in_probe(path) {
            return Route::SignIn;
        }
        let Some(api) = path.strip_prefix("/api/v1/") else {
            return match path {
                "/healthz" => Route::Healthz,
                "/readyz" => Route::Readyz,
                _ => Route::Unknown,
            };
        };
        if let Some(target) = api.strip_prefix("mcp/") {
            let (deployment, rest) = target.split_at(target.find('/').unwrap_or(target.len()));
            return Route::Mcp { deployment, rest };
        }
        match api {
            "eventinfo" => Route::EventInfo,
            "usage" => Route::Usage,
            _ => match api.strip_prefix("event/") {
                Some(id) if !id.is_empty() && !id.contains('/') => Route::Event { id },
                _ => Route::Unknown,
            },
        }
    }

    /// The deployment, as it was sent, of a route on which access tokens are taken.
    pub fn deployment(self) -> Option<&'path str> {
        match self {
            Route::Mcp { deployment, .. } => Some(deployment),
            _ => None,
        }
    }

    /// The family it is counted in.
    pub fn family(self) -> Family {
        match self {
            Route::Mcp { .. } => Family::Mcp,
            Route::EventInfo => Family::EventInfo,
            Route::Event { .. } => Family::Event,
            Route::Usage => Family::Usage,
            Route::Healthz | Route::Readyz | Route::SignIn | Route::Unknown => Family::Other,
        }
    }

    /// Whether the method is one of those in [`allow`](Self::allow).
    pub fn allows(self, method: &Method) -> bool {
        match self {
            Route::Mcp { .. } => [Method::POST, Method::GET, Method::DELETE].contains(method),
            Route::EventInfo => method == Method::POST,
            Route::Event { .. } | Route::Usage | Route::Healthz | Route::Readyz => {
                method == Method::GET
            }
            Route::SignIn | Route::Unknown => false,
        }
    }

    /// The methods served, as an `Allow` header lists them.
    pub fn allow(self) -> &'static str {
        match self {
            Route::Mcp { .. } => "GET, POST, DELETE",
            Route::EventInfo => "POST",
            Route::Event { .. } | Route::Usage | Route::Healthz | Route::Readyz => "GET",
            Route::SignIn | Route::Unknown => "",
        }
    }
}

/// A method's name, where it is one and not any word that the client made up.
pub fn logged(method: &Method) -> &str {
    let known = [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD];
    if known.contains(method) { method.as_str() } else { "(other)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_what_is_listed() {
        for path in ["/api/v1/mcp/demo", "/api/v1/eventinfo", "/api/v1/usage", "/healthz", "/x"] {
            let route = Route::of(path);
            for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::HEAD] {
                let is_listed = route.allow().split(", ").any(|name| name == method.as_str());
                assert_eq!(route.allows(&method), is_listed, "{method} {path}");
            }
        }
    }

    #[test]
    fn paths_are_read_as_sent() {
        let mcp = |deployment, rest| Route::Mcp { deployment, rest };
        assert_eq!(Route::of("/api/v1/mcp/demo"), mcp("demo", ""));
        assert_eq!(Route::of("/api/v1/mcp/demo/"), mcp("demo", "/"));
        assert_eq!(Route::of("/api/v1/mcp/demo/a%2Fb/c"), mcp("demo", "/a%2Fb/c"));
        assert_eq!(Route::of("/api/v1/event/a1b2-c3d4"), Route::Event { id: "a1b2-c3d4" });
        assert_eq!(Route::of("/api/v1/eventinfo"), Route::EventInfo);
        for page in [
            "/",
            "/admin",
            "/api/admin/v1/events",
            "/event/a1b2-c3d4",
            "/healthz/x",
            "/api/v1/attendee/event/a1b2-c3d4",
            "/api/v1/attendee/event/a1b2-c3d4/",
            "/api/v1/attendee/event/a1b2-c3d4/register",
        ] {
            assert!(!is_of_data_plane(page), "{page}");
        }
        for call in ["/api/v1/attendee/event/", "/api/v1/attendee", "/api/v1/attendee/event/a/b"] {
            assert!(is_of_data_plane(call), "{call}");
        }
        for unknown in ["/", "/api/v1/mcp", "/api/v1/event/", "/register/x", "/api/v1/register"] {
            assert_eq!(Route::of(unknown), Route::Unknown, "{unknown}");
        }
        for probe in [
            "/register",
            "/register/",
            "/.well-known/x",
            "/.well-known/oauth-protected-resource/api/v1/mcp/demo/mcp",
            "/api/v1/mcp/demo/mcp/.well-known/openid-configuration",
            "/mcp/demo/.well-known/oauth-authorization-server",
        ] {
            assert_eq!(Route::of(probe), Route::SignIn, "{probe}");
        }
        assert_eq!(Route::of("/api/v1/mcp/demo/.well-known/x"), mcp("demo", "/.well-known/x"));
    }
}
