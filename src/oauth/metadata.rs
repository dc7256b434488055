//! What clients read to find out how to sign in: of a resource (RFC 9728) and of the authorization server
//! (RFC 8414). The same for every name of a server, so that they tell nobody which there are.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{AUTHORIZE, MCP, REGISTER, REVOKE, SCOPE, TOKEN};
use crate::catalog::limits::NAME;

/// Whether metadata exist of the resource with this path on our origin: of the proxy itself, and of
/// everything that may be an MCP server.
pub fn is_resource(path: &str) -> bool {
    path.is_empty() || below(path).is_some_and(|name| !name.is_empty())
}

/// What names a server in a path.
fn below(path: &str) -> Option<&str> {
    path.strip_prefix(MCP)?.strip_prefix('/')
}

/// Of the resource with this path and query, at the base URL by which the client knows us.
pub fn resource(base: &str, path: &str, query: Option<&str>, issuer: &str) -> Value {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    json!({
        "resource": format!("{base}{path}{query}"),
        "authorization_servers": [issuer],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": name(base, path),
    })
}

/// The name that editors show.
fn name(base: &str, path: &str) -> String {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    let named = below(path).and_then(|rest| rest.split('/').next());
    let Some(named) = named else { return host.to_owned() };
    let named = percent_decode_str(named).decode_utf8_lossy();
    let named: String = named.chars().filter(|c| c.is_ascii_graphic()).take(NAME).collect();
    format!("{named} ({host})")
}

/// Of the authorization server. `issuer` is its URL, without a slash at the end.
pub fn server(issuer: &str) -> Value {
    let at = |path| format!("{issuer}{path}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": at(AUTHORIZE),
        "token_endpoint": at(TOKEN),
        "registration_endpoint": at(REGISTER),
        "revocation_endpoint": at(REVOKE),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": [SCOPE],
        "client_id_metadata_document_supported": true,
        "authorization_response_iss_parameter_supported": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_the_url_that_was_asked_for() {
        let issuer = "https://proxy.example";
        for (path, query, name) in [
            ("", None, "lab.example:81"),
            ("/api/v1/mcp/demo", None, "demo (lab.example:81)"),
            ("/api/v1/mcp/demo/mcp/", Some("a=b"), "demo (lab.example:81)"),
            ("/api/v1/mcp/%22d%20%E2%80%AEo", None, "\"do (lab.example:81)"),
        ] {
            let metadata = resource("http://lab.example:81", path, query, issuer);
            let url = format!("http://lab.example:81{path}");
            let url = query.map_or(url.clone(), |query| format!("{url}?{query}"));
            assert_eq!(metadata["resource"], url);
            assert_eq!(metadata["resource_name"], name);
            assert_eq!(metadata["authorization_servers"], json!([issuer]));
        }
    }

    #[test]
    fn only_what_may_be_an_mcp_server_has_metadata() {
        for good in ["", "/api/v1/mcp/demo", "/api/v1/mcp/demo/mcp", "/api/v1/mcp/nobody/"] {
            assert!(is_resource(good), "{good}");
        }
        for bad in ["/", "x", "/api/v1/mcp", "/api/v1/mcp/", "/api/v1/usage", "/demo"] {
            assert!(!is_resource(bad), "{bad}");
        }
    }
}
