//! Who somebody is by the word of a gateway that stands in front of the proxy and signs people in: Azure
//! Static Web Apps, or the built-in authentication of Azure App Service and Container Apps.
//!
//! Both say it in the header [`PRINCIPAL`], each in its own form. Anybody can send such a header, so
//! whoever calls this knows that it came from a gateway that is trusted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::catalog::attendee::account::Account;

/// The header of the gateways: JSON in Base64.
pub(crate) const PRINCIPAL: &str = "x-ms-client-principal";

/// The claims that hold the id of an account, the first that is there.
const ID_CLAIMS: [&str; 2] =
    ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub"];

/// Those that hold a name; if none is there, the one that the gateway itself names.
const NAME_CLAIMS: [&str; 2] = ["name", "preferred_username"];

/// In the roles of a person who is signed in.
const SIGNED_IN: &str = "authenticated";

#[derive(Deserialize)]
#[serde(untagged)]
enum Principal {
    StaticWebApps(StaticWebApps),
    BuiltIn(BuiltIn),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StaticWebApps {
    identity_provider: String,
    user_id: String,
    #[serde(default)]
    user_details: Option<String>,
    #[serde(default)]
    user_roles: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct BuiltIn {
    auth_typ: String,
    #[serde(default)]
    name_typ: Option<String>,
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// The account that the header's value says; `None` where nobody is signed in or it cannot be read.
pub(crate) fn account(value: &[u8]) -> Option<Account> {
    let json = STANDARD.decode(value).ok()?;
    match serde_json::from_slice(&json).ok()? {
        Principal::StaticWebApps(who) => {
            let is_in = |roles: Vec<String>| roles.iter().any(|role| role == SIGNED_IN);
            let name = who.user_details.unwrap_or_default();
            let is_in = who.user_roles.is_none_or(is_in);
            is_in.then(|| Account::gateway(&who.identity_provider, &who.user_id, &name)).flatten()
        }
        Principal::BuiltIn(who) => {
            let claim = |kind: &str| {
                let found = who.claims.iter().find(|claim| claim.typ == kind);
                found.map(|claim| claim.val.as_str()).filter(|value| !value.is_empty())
            };
            let id = ID_CLAIMS.into_iter().find_map(claim)?;
            let names = NAME_CLAIMS.into_iter();
            let name = names.chain(who.name_typ.as_deref()).find_map(claim);
            Account::gateway(&who.auth_typ, id, name.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(principal: &Value) -> Option<(String, String)> {
        let account = account(STANDARD.encode(principal.to_string()).as_bytes())?;
        Some((account.user_id().to_owned(), account.name().to_owned()))
    }

    fn is(user_id: &str, name: &str) -> Option<(String, String)> {
        Some((user_id.to_owned(), name.to_owned()))
    }

    #[test]
    fn static_web_apps_say_who_is_signed_in() {
        let who = |roles: Value| {
            json!({"identityProvider": "github", "userId": "d75b260a", "userDetails": "octocat",
                   "userRoles": roles, "claims": []})
        };
        let in_it = is("gateway:github:d75b260a", "octocat");
        assert_eq!(read(&who(json!(["anonymous", "authenticated"]))), in_it);
        assert_eq!(read(&who(Value::Null)), in_it);
        assert_eq!(read(&who(json!(["anonymous"]))), None);
    }

    #[test]
    fn built_in_authentication_says_it_in_claims() {
        let who = |claims: Value| json!({"auth_typ": "aad", "name_typ": "urn:upn", "role_typ": "urn:role", "claims": claims});
        let id = json!({"typ": ID_CLAIMS[0], "val": "abc"});
        let sub = json!({"typ": "sub", "val": "other"});
        let upn = json!({"typ": "urn:upn", "val": "ada@example.org"});
        let name = json!({"typ": "name", "val": "Ada Lovelace"});
        assert_eq!(read(&who(json!([sub, id, upn, name]))), is("gateway:aad:abc", "Ada Lovelace"));
        assert_eq!(read(&who(json!([sub, upn]))), is("gateway:aad:other", "ada@example.org"));
        assert_eq!(read(&who(json!([id]))), is("gateway:aad:abc", ""));
        assert_eq!(read(&who(json!([name]))), None);
    }

    #[test]
    fn what_cannot_be_read_is_nobody() {
        for odd in
            [json!({}), json!([]), json!({"userId": "1"}), json!("x"), json!({"auth_typ": 1})]
        {
            assert_eq!(read(&odd), None, "{odd}");
        }
        assert_eq!(account(b"{}"), None);
        assert_eq!(account(&[0xff, 0xfe]), None);
    }
}
