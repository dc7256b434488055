//! Dynamic client registration (RFC 7591): the id that is given out holds what was registered.

use serde_json::{Value, json};

use super::SCOPE;
use super::client::{Client, registered_id};
use super::client_name;
use super::error::{Code, OauthError};
use super::redirect_uri::RedirectUri;

/// Registers a client by its metadata, which are JSON: what it is answered. URIs that are not taken are
/// left out, and whatever authentication it asks for is none, as for all clients here.
///
/// # Errors
/// It is not JSON, or no redirect URI is left.
pub(crate) fn register(metadata: &[u8]) -> Result<Value, OauthError> {
    let malformed = || {
        let description = "Client metadata are a JSON object with a list of redirect_uris.";
        OauthError::new(Code::InvalidClientMetadata, description)
    };
    let metadata: Value = serde_json::from_slice(metadata).map_err(|_| malformed())?;
    let client = described(&metadata).ok_or_else(malformed)?;
    if client.redirect_uris.is_empty() {
        let description = "No redirect URI can be used. It begins with https://, with http:// and \
                           localhost, 127.0.0.1 or [::1], or with the scheme of an app.";
        return Err(OauthError::new(Code::InvalidRedirectUri, description));
    }
    let description = "The redirect URIs are too long in all. Register fewer or shorter ones.";
    let too_long = OauthError::new(Code::InvalidRedirectUri, description);
    let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    Ok(json!({
        "client_id": registered_id(&client).ok_or(too_long)?,
        "client_name": client.name,
        "redirect_uris": uris,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": SCOPE,
    }))
}

/// The client that metadata describe, with the redirect URIs that are taken. `None`: they have no list of
/// them.
pub(super) fn described(metadata: &Value) -> Option<Client> {
    let uris = metadata.get("redirect_uris")?.as_array()?;
    let redirect_uris =
        uris.iter().filter_map(Value::as_str).filter_map(RedirectUri::parse_registered).collect();
    let name = metadata.get("client_name").and_then(Value::as_str).unwrap_or_default();
    Some(Client { name: client_name::shown(name), redirect_uris })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client::ClientId;

    #[test]
    fn a_client_is_registered_with_what_can_be_used_of_it() {
        let metadata = json!({
            "client_name": "Editor",
            "redirect_uris": ["http://localhost:*/cb", "javascript:alert(1)", 7, "app:/cb"],
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["password"],
            "scope": "everything",
        });
        let answer = register(metadata.to_string().as_bytes()).unwrap();
        assert_eq!(answer["redirect_uris"], json!(["http://localhost/cb", "app:/cb"]));
        assert_eq!(answer["token_endpoint_auth_method"], "none");
        assert_eq!((&answer["scope"], &answer["client_name"]), (&json!("mcp"), &json!("Editor")));
        assert_eq!(answer.get("client_secret"), None);
        let id = ClientId::parse(answer["client_id"].as_str().unwrap());
        let Some(ClientId::Registered(client)) = id else { panic!("{answer}") };
        assert_eq!((&*client.name, client.redirect_uris.len()), ("Editor", 2));
    }

    #[test]
    fn what_cannot_be_used_at_all_is_refused() {
        let code = |metadata: &str| register(metadata.as_bytes()).unwrap_err().code;
        for bad in ["", "{", "[]", "{}", r#"{"redirect_uris":"https://a.example"}"#] {
            assert_eq!(code(bad), Code::InvalidClientMetadata, "{bad}");
        }
        for bad in ["", "\"http://app.example\"", "\"data:text/html,x\",\"file:///x\"", "1"] {
            let metadata = format!(r#"{{"redirect_uris":[{bad}]}}"#);
            assert_eq!(code(&metadata), Code::InvalidRedirectUri, "{bad}");
        }
        let long = format!("https://a.example/{}", "x".repeat(480));
        let metadata = json!({"redirect_uris": [long, format!("{long}y")]}).to_string();
        assert_eq!(code(&metadata), Code::InvalidRedirectUri);
    }
}
