//! Signing in with a name and a password, and out again.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect};
use axum_extra::extract::CookieJar;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

use crate::catalog;
use crate::catalog::owner::Owner;
use crate::identity::local::{Attempt, Recognised, SignInRefusal};
use crate::identity::session::{Proof, SessionAsker};
use crate::identity::throttle::Wait;
use crate::portal::Site;
use crate::portal::form::Form;
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;

const HOME: &str = "/admin";

/// Where forms are that wait for their owner.
const HELD: &str = "/admin/held/";

/// What is said of one on the way there.
pub const STILL_KEPT: &str =
    "Nothing has been done yet. What was typed here is still kept. Sign in to send it.";

/// Maximum number of bytes of the path to continue at: longer ones fit neither into a cookie nor into the form.
const LONGEST_NEXT: usize = 1024;

#[derive(Template, Default)]
#[template(path = "admin/sign_in.html")]
struct SignIn<'a> {
    title: &'static str,
    /// What signing in does beside that; may be empty.
    lead: &'a str,
    name: &'a str,
    next: &'a str,
    notice: &'a str,
    problem: String,
    has_entra: bool,
    takes_passwords: bool,
}

impl<'a> SignIn<'a> {
    /// With the ways in that there are, to go on to `next`.
    fn of(site: &Site, next: &'a str) -> Self {
        let (has_entra, takes_passwords) =
            (site.identity.has_entra(), site.identity.takes_passwords());
        let next = local(next);
        let lead = if next.starts_with(HELD) { STILL_KEPT } else { "" };
        Self { title: "Sign in", lead, next, has_entra, takes_passwords, ..Self::default() }
    }
}

/// The page after a form for which nobody is signed in any more. `lead` says what became of it;
/// signing in goes on to `next`.
pub fn once_more(site: &Site, next: &str, lead: &str) -> Answer {
    let page = SignIn { title: "You were signed out", lead, ..SignIn::of(site, next) };
    page::with_status(StatusCode::FORBIDDEN, &page)
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
    /// Present after signing out.
    out: Option<String>,
}

pub async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Answer {
    if let Some(token) = visitor.session_token()
        && site.identity.session(&token, SessionAsker::Person).await?.is_some()
    {
        return Ok(Redirect::to(local(&asked.next)).into_response());
    }
    let notice = if asked.out.is_some() { "You are signed out." } else { "" };
    page::ok(&SignIn { notice, ..SignIn::of(&site, &asked.next) })
}

#[derive(Deserialize)]
pub struct Typed {
    name: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Answer {
    let attempt = Attempt {
        name: &typed.name,
        password: &typed.password,
        source: visitor.source,
        browser: visitor.browser_token(),
    };
    let refusal = match site.identity.sign_in(&attempt).await {
        Ok(Recognised { owner, password_hash }) => {
            let shown = (Proof::Password, Some(&*password_hash));
            let cookies = welcome(&site, visitor, &owner, shown).await?;
            return Ok((cookies, Redirect::to(local(&typed.next))).into_response());
        }
        Err(SignInRefusal::Catalog(error)) => return Err(error.into()),
        Err(refusal) => refusal,
    };
    let problem = format!("{refusal}.");
    let name = page::shown_again(&typed.name);
    let page = SignIn { name, problem, ..SignIn::of(&site, &typed.next) };
    match refusal {
        SignInRefusal::Throttled(Wait(seconds)) => page::too_many(&page, seconds),
        SignInRefusal::SwitchedOff => page::with_status(StatusCode::FORBIDDEN, &page),
        SignInRefusal::Busy(_) => page::with_status(StatusCode::SERVICE_UNAVAILABLE, &page),
        _ => page::unprocessable(&page),
    }
}

/// Signs the owner in, by what they have `shown`; the session that the browser had before ends.
pub async fn welcome(
    site: &Site,
    visitor: Visitor,
    owner: &Owner,
    shown: (Proof, Option<&str>),
) -> catalog::Result<CookieJar> {
    let replaced = visitor.session_token();
    let session =
        site.identity.start_session(owner, replaced.as_ref(), shown, visitor.source).await?;
    Ok(visitor.signed_in(&session, site.identity.browser_token(owner).await?))
}

pub async fn sign_out(State(site): State<Site>, visitor: Visitor) -> Answer {
    if let Some(token) = visitor.session_token() {
        site.identity.end_session(&token).await?;
    }
    Ok((visitor.signed_out(), Redirect::to("/admin/sign-in?out")).into_response())
}

/// A path of ours to go on to: never another site.
pub fn local(next: &str) -> &str {
    let rest =
        next.strip_prefix(HOME).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    match rest {
        Some(_)
            if next.len() <= LONGEST_NEXT
                && !next.contains(['\\', '\r', '\n'])
                && !next.starts_with("/admin/sign-in") =>
        {
            next
        }
        _ => HOME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_gone_on_to() {
        for own in ["/admin", "/admin/events?q=a", "/admin?x"] {
            assert_eq!(local(own), own);
        }
        for foreign in ["", "//evil", "https://evil/admin", "/administrator", "/admin/\\evil", "/"]
        {
            assert_eq!(local(foreign), HOME, "{foreign}");
        }
    }
}
