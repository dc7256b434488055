//! Reading an ID token: only what Entra signed, for us, now, as the answer to
//! what this browser asked (OpenID Connect Core 1.0, 3.1.3.7).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use super::provider::ProviderMetadata;
use crate::catalog::owner::entra::Account;

/// How far clocks may differ, in seconds.
pub(super) const SKEW_SECONDS: u64 = 60;

/// Who has signed in.
#[derive(Debug)]
pub(super) struct Person {
    pub account: Account,
    /// Their display name, which they may have chosen themselves.
    pub name: String,
    /// When they last proved to Entra who they are (UTC seconds), where Entra was asked to tell.
    pub auth_time: Option<i64>,
}

/// Why a token tells of nobody, to follow "the ID token".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IdTokenError {
    /// Keys change; it may be one that we have not heard of.
    #[error("is signed with a key that Entra does not list")]
    UnknownKey,
    #[error("{0}")]
    Wrong(&'static str),
}

/// What Entra says of a person (tokens of version 2.0).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    /// One text: a token that is also for others is not for us.
    aud: String,
    nonce: String,
    tid: String,
    oid: String,
    #[serde(default)]
    name: String,
    /// Any value, so that a strange one stops nobody who only signs in.
    #[serde(default)]
    auth_time: serde_json::Value,
}

/// Tells who signed in, where `token` is for `client_id` and answers `nonce`.
pub(super) fn read(
    token: &str,
    metadata: &ProviderMetadata,
    client_id: Uuid,
    nonce: &str,
) -> Result<Person, IdTokenError> {
    let header = decode_header(token).map_err(|_| IdTokenError::Wrong("has no header of a JWT"))?;
    let kid = key_id(&header)?;
    let key = metadata.key(kid).ok_or(IdTokenError::UnknownKey)?;
    let decoding_key = DecodingKey::from_rsa_components(&key.n, &key.e)
        .map_err(|_| IdTokenError::Wrong("is signed with a key that Entra lists wrongly"))?;
    let client_id = client_id.to_string();
    let claims = decode::<Claims>(token, &decoding_key, &validation(&client_id))
        .map_err(|error| IdTokenError::Wrong(reason(error.kind())))?
        .claims;
    let (Ok(tenant), Ok(object)) = (Uuid::try_parse(&claims.tid), Uuid::try_parse(&claims.oid))
    else {
        return Err(IdTokenError::Wrong("names no tenant and object"));
    };
    if claims.aud != client_id {
        return Err(IdTokenError::Wrong(reason(&ErrorKind::InvalidAudience)));
    }
    // The issuer of a single tenant is a constant, which says nothing of `tid`.
    let is_issuer = claims.iss == metadata.issuer_of(tenant)
        && claims.iss.contains(&tenant.to_string())
        && key.may_sign_for(&claims.iss, tenant);
    if !is_issuer {
        return Err(IdTokenError::Wrong("is of another issuer"));
    }
    if verify_slices_are_equal(claims.nonce.as_bytes(), nonce.as_bytes()).is_err() {
        return Err(IdTokenError::Wrong("answers another sign-in"));
    }
    let (account, auth_time) = (Account { tenant, object }, claims.auth_time.as_i64());
    Ok(Person { account, name: claims.name, auth_time })
}

fn key_id(header: &Header) -> Result<&str, IdTokenError> {
    if header.alg != Algorithm::RS256 {
        return Err(IdTokenError::Wrong("is not signed with RS256"));
    }
    if header.crit.is_some() {
        return Err(IdTokenError::Wrong("has a critical header"));
    }
    header.kid.as_deref().ok_or(IdTokenError::Wrong("names no key"))
}

fn validation(client_id: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = SKEW_SECONDS;
    validation.validate_nbf = true;
    validation.set_audience(&[client_id]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
    validation
}

/// Not the library's own text, which may quote what the token holds.
fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "has expired; is this machine's clock right?",
        ErrorKind::ImmatureSignature => "is not valid yet; is this machine's clock right?",
        ErrorKind::InvalidAudience => "is for another application",
        ErrorKind::InvalidSignature => "is not signed by Entra",
        _ => "lacks what a token of version 2.0 holds",
    }
}
