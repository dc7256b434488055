//! What a one-time link opens: the first administrator's name and password, or
//! a password for the owner that the link was made for.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::sign_in;
use crate::catalog;
use crate::catalog::owner::redeem::Pending;
use crate::identity::local::SignInRefusal;
use crate::identity::password;
use crate::identity::session::Proof;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;

#[derive(Template)]
#[template(path = "admin/setup.html")]
struct Setup<'a> {
    is_administrator: bool,
    name: &'a str,
    takes_passwords: bool,
    /// Where to sign in with Microsoft instead.
    entra: Option<String>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "admin/setup_over.html")]
struct Over;

pub async fn show(State(site): State<Site>, Path(token): Path<SecretString>) -> Answer {
    match site.identity.pending(&token).await? {
        Some(pending) => page::ok(&setup(&site, &pending, &token, "", Problems::none())),
        None => over(),
    }
}

#[derive(Deserialize)]
pub struct Typed {
    /// Asked for where the link makes an administrator.
    #[serde(default)]
    name: String,
    password: SecretString,
    again: SecretString,
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    Path(token): Path<SecretString>,
    Form(typed): Form<Typed>,
) -> Answer {
    let Some(pending) = site.identity.pending(&token).await? else { return over() };
    if matches!(pending, Pending::Password(_)) && !site.identity.takes_passwords() {
        return Err(PageError::Refused(SignInRefusal::SwitchedOff.to_string()));
    }
    let (name, proof) = match &pending {
        Pending::Administrator => (typed.name.clone(), Proof::FirstLink),
        Pending::Password(owner) => (owner.name.clone(), Proof::Link),
    };
    let problems = refuse(&name, &typed.password, &typed.again);
    if !problems.is_empty() {
        return page::unprocessable(&setup(&site, &pending, &token, &typed.name, problems));
    }
    let owner = match site.identity.redeem(&token, &typed.name, &typed.password).await {
        Ok(Some(owner)) => owner,
        Ok(None) => return over(),
        Err(SignInRefusal::Catalog(error @ catalog::Error::Invalid { .. })) => {
            let problems = Problems::from_error(error)?;
            return page::unprocessable(&setup(&site, &pending, &token, &typed.name, problems));
        }
        Err(SignInRefusal::Catalog(error)) => return Err(error.into()),
        Err(refusal) => return Err(PageError::Refused(refusal.to_string())),
    };
    let cookies = sign_in::welcome(&site, visitor, &owner, (proof, None)).await?;
    Ok((cookies, Redirect::to("/admin")).into_response())
}

/// What is wrong with a new password that was typed twice.
pub fn refuse(name: &str, password: &SecretString, again: &SecretString) -> Problems {
    let mut problems = Problems::none();
    if let Some(reason) = password::refuse(password, name) {
        problems.add("password", reason);
    } else if password.expose_secret() != again.expose_secret() {
        problems.add("again", "is not the same");
    }
    problems
}

fn setup<'a>(
    site: &Site,
    pending: &'a Pending,
    token: &SecretString,
    typed: &'a str,
    problems: Problems,
) -> Setup<'a> {
    let takes_passwords = site.identity.takes_passwords();
    match pending {
        // The first administrator has a password: it works when all else is away.
        Pending::Administrator => {
            let name = page::shown_again(typed);
            Setup { is_administrator: true, name, takes_passwords, entra: None, problems }
        }
        Pending::Password(owner) => {
            let (name, entra) = (&owner.name, entra(site, token));
            Setup { is_administrator: false, name, takes_passwords, entra, problems }
        }
    }
}

fn entra(site: &Site, token: &SecretString) -> Option<String> {
    let path = || format!("/admin/setup/{}/entra", token.expose_secret());
    site.identity.has_entra().then(path)
}

pub fn over() -> Answer {
    page::with_status(StatusCode::GONE, &Over)
}
