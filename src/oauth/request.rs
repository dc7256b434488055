//! The request by which a client sends a browser here (RFC 6749 §4.1.1), and the answers that go back
//! with the browser.
//!
//! Until client and redirect URI are known to belong together, an error is for the person alone: a
//! browser is never sent to where nobody registered. Any later one is told to the client.

use std::net::IpAddr;

use secrecy::ExposeSecret;
use url::Url;

use super::audience::Audience;
use super::client::{Client, ClientId};
use super::document::Fetched;
use super::error::{Code, OauthError};
use super::parameters::Parameters;
use super::redirect_uri::RedirectUri;
use super::{Oauth, pkce};
use crate::catalog::attendee::session::AttendeeSession;
use crate::catalog::oauth::{self, NewCode, NewGrant};
use crate::catalog::{self, Result as StoreResult};

/// Why a client is what it says, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It says so itself.
    Unproven,
    /// The host at which its document is.
    Document(String),
    /// That host could not be reached.
    Unreached(String),
}

/// A request that can be allowed.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    client_id: String,
    pub client_name: String,
    pub proof: Proof,
    pub redirect_uri: RedirectUri,
    pub audience: Audience,
    state: Option<String>,
    challenge: String,
    issuer: String,
}

/// Why a request cannot be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has this `client_id`.
    UnknownClient,
    /// It is a document's, and that says something else, or nothing.
    UnusableDocument,
    /// The redirect URI is none of the client's.
    WrongRedirect,
    /// Too much is under way.
    Busy,
    /// The browser goes back with the error, to this URL.
    Back(String),
}

/// Where errors go once that is known.
struct Back<'a> {
    redirect_uri: &'a RedirectUri,
    state: Option<&'a str>,
    issuer: &'a str,
}

impl Back<'_> {
    fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.extend(self.state.map(|state| ("state", state)));
        all.push(("iss", self.issuer));
        self.redirect_uri.with(&all)
    }

    fn refuse(&self, error: &OauthError) -> Refusal {
        Refusal::Back(self.error(error.code, error.description))
    }

    fn error(&self, code: Code, description: &str) -> String {
        self.with(&[("error", code.as_str()), ("error_description", description)])
    }
}

impl Oauth {
    /// Reads the query of a request. `issuer` is our URL, `is_ours` says of another URL whether clients
    /// reach us by it, and `source` is where the browser is.
    ///
    /// # Errors
    /// It cannot be allowed.
    pub async fn request(
        &self,
        query: &str,
        source: IpAddr,
        issuer: &str,
        is_ours: impl Fn(&Url) -> bool,
    ) -> Result<AuthorizationRequest, Refusal> {
        let query = Parameters::read(query.as_bytes());
        let client_id = query.one("client_id").ok().flatten().ok_or(Refusal::UnknownClient)?;
        let redirect_uri = query.one("redirect_uri").ok().flatten();
        let redirect_uri =
            redirect_uri.and_then(RedirectUri::parse).ok_or(Refusal::WrongRedirect)?;
        let (client_name, proof) = self.client(client_id, &redirect_uri, source).await?;

        let state = query.one("state").unwrap_or_default();
        let back = Back { redirect_uri: &redirect_uri, state, issuer };
        let (audience, challenge) = asked(&query, is_ours).map_err(|error| back.refuse(&error))?;
        Ok(AuthorizationRequest {
            client_id: client_id.to_owned(),
            client_name,
            proof,
            audience,
            state: state.map(str::to_owned),
            challenge,
            issuer: issuer.to_owned(),
            redirect_uri,
        })
    }

    /// The name of the client, if the URI is one of its own.
    async fn client(
        &self,
        id: &str,
        redirect_uri: &RedirectUri,
        source: IpAddr,
    ) -> Result<(String, Proof), Refusal> {
        let has = |client: &Client| client.registered(redirect_uri).is_some();
        match ClientId::parse(id).ok_or(Refusal::UnknownClient)? {
            ClientId::Registered(client) if has(&client) => Ok((client.name, Proof::Unproven)),
            ClientId::Registered(_) => Err(Refusal::WrongRedirect),
            ClientId::Document(url) => {
                let host = url.host_str().unwrap_or_default().to_owned();
                match self.documents.find(&url, source, self.clock.now_ms()).await {
                    Fetched::Client(client) if has(&client) => {
                        Ok((client.name, Proof::Document(host)))
                    }
                    Fetched::Client(_) => Err(Refusal::WrongRedirect),
                    // A room without internet: what it leads to is on the person's own machine.
                    Fetched::Unreached if redirect_uri.is_loopback() => {
                        Ok((host.clone(), Proof::Unreached(host)))
                    }
                    Fetched::Unreached | Fetched::Unusable => Err(Refusal::UnusableDocument),
                    Fetched::Busy => Err(Refusal::Busy),
                }
            }
        }
    }

    /// Allows the request for an attendee, who came by the shared code if there is one: where the browser
    /// goes with the code.
    ///
    /// # Errors
    /// Those of the store, and [`catalog::Error::Conflict`] where the session has ended meanwhile, or where
    /// as many clients are allowed as there may be.
    pub async fn allow(
        &self,
        request: &AuthorizationRequest,
        by: &AttendeeSession,
        shared_code: Option<&str>,
    ) -> StoreResult<String, catalog::Error> {
        let grant = NewGrant {
            attendee_id: &by.attendee.id,
            client_id: &request.client_id,
            client_name: &request.client_name,
            redirect_host: request.redirect_uri.host(),
            deployment: request.audience.deployment(),
            shared_code,
            is_proven: by.way.is_proof(),
            session_id: by.id(),
        };
        let code =
            NewCode { redirect_uri: request.redirect_uri.as_str(), challenge: &request.challenge };
        let now = self.clock.now_ms();
        let code = oauth::authorize(&self.db, &self.vault, &grant, &code, now).await?;
        Ok(request.back().with(&[("code", code.expose_secret())]))
    }
}

impl AuthorizationRequest {
    fn back(&self) -> Back<'_> {
        let (redirect_uri, issuer) = (&self.redirect_uri, &self.issuer);
        Back { redirect_uri, state: self.state.as_deref(), issuer }
    }

    /// Where the browser goes if the person does not allow it.
    pub fn denied(&self) -> String {
        self.back().error(Code::AccessDenied, "The person did not allow it.")
    }
}

/// What is asked for: the servers, and the challenge of the code.
fn asked(
    query: &Parameters,
    is_ours: impl Fn(&Url) -> bool,
) -> Result<(Audience, String), OauthError> {
    let request = |description| OauthError::new(Code::InvalidRequest, description);
    query.one("state")?;
    if query.required("response_type", "The response_type is missing.")? != "code" {
        let description = "The response_type is code.";
        return Err(OauthError::new(Code::UnsupportedResponseType, description));
    }
    let missing = "The code_challenge is missing: PKCE is needed here.";
    let challenge = query.required("code_challenge", missing)?;
    // Without a method it would be `plain`.
    if query.one("code_challenge_method")? != Some("S256") {
        return Err(request("The code_challenge_method is S256."));
    }
    if !pkce::is_challenge(challenge) {
        return Err(request("The code_challenge is no SHA-256 digest in base64url."));
    }
    Ok((Audience::of(&query.all("resource"), is_ours)?, challenge.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn query(set: &[(&str, &str)]) -> Parameters {
        let mut all = vec![
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("scope", "mcp openid everything"),
        ];
        all.retain(|(name, _)| !set.iter().any(|(other, _)| other == name));
        let encoded = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(all.iter().chain(set))
            .finish();
        Parameters::read(encoded.as_bytes())
    }

    #[test]
    fn only_codes_with_pkce_by_s256_are_asked_for() {
        let code = |set: &[(&str, &str)]| asked(&query(set), |_| true).map_err(|error| error.code);
        assert_eq!(code(&[]), Ok((Audience::Event, CHALLENGE.to_owned())));
        for (set, error) in [
            (&[("response_type", "token")][..], Code::UnsupportedResponseType),
            (&[("response_type", "")], Code::InvalidRequest),
            (&[("code_challenge", "")], Code::InvalidRequest),
            (&[("code_challenge", "short")], Code::InvalidRequest),
            (&[("code_challenge_method", "plain")], Code::InvalidRequest),
            (&[("code_challenge_method", "")], Code::InvalidRequest),
            (&[("code_challenge_method", "s256")], Code::InvalidRequest),
            (&[("state", "a"), ("state", "b")], Code::InvalidRequest),
            (&[("resource", "https://proxy.example/elsewhere")], Code::InvalidTarget),
        ] {
            assert_eq!(code(set), Err(error), "{set:?}");
        }
    }

    #[test]
    fn every_answer_has_the_state_and_the_issuer() {
        let redirect_uri = RedirectUri::parse("http://localhost:1/cb?x=1").unwrap();
        let back =
            Back { redirect_uri: &redirect_uri, state: Some("s&t"), issuer: "https://p.example" };
        let url = "http://localhost:1/cb?x=1&code=c&state=s%26t&iss=https%3A%2F%2Fp.example";
        assert_eq!(back.with(&[("code", "c")]), url);
        let without = Back { state: None, ..back };
        let url = without.error(Code::AccessDenied, "No.");
        assert!(url.contains("&error=access_denied&") && url.contains("&iss="), "{url}");
    }
}
