//! The owner's own account: the password, and the browsers signed in.

use askama::Template;
use axum::extract::State;
use secrecy::SecretString;
use serde::Deserialize;

use super::setup;
use crate::catalog::owner::{self, api_token};
use crate::identity::local::SignInRefusal;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/account.html")]
struct Account {
    frame: Frame,
    has_password: bool,
    /// Whether one could be used.
    takes_passwords: bool,
    has_entra: bool,
    /// Whether a Microsoft account could be used.
    takes_entra: bool,
    /// Other browsers in which this owner is signed in.
    others: u64,
    /// API tokens that have been made and not revoked.
    tokens: usize,
    problems: Problems,
}

impl Account {
    async fn of(site: &Site, me: &SignedIn, problems: Problems) -> Result<Self, PageError> {
        let others = site.identity.count_others(me.session()).await?;
        let takes_passwords = site.identity.takes_passwords();
        let has_password = site.identity.has_password(&me.owner).await?;
        let has_entra = owner::entra::has_account(&site.db, &me.owner).await?;
        let tokens = api_token::list(&site.db, &me.owner.id).await?.len();
        Ok(Self {
            frame: me.frame(Section::Account),
            has_password,
            takes_passwords,
            has_entra,
            takes_entra: site.identity.has_entra(),
            others,
            tokens,
            problems,
        })
    }
}

pub async fn show(State(site): State<Site>, me: SignedIn) -> Answer {
    page::ok(&Account::of(&site, &me, Problems::none()).await?)
}

#[derive(Deserialize)]
pub struct NewPassword {
    current: SecretString,
    password: SecretString,
    again: SecretString,
    /// Whether other browsers are to be signed out.
    others: Option<String>,
}

pub async fn change_password(
    State(site): State<Site>,
    me: SignedIn,
    Form(typed): Form<NewPassword>,
) -> Answer {
    if !site.identity.takes_passwords() {
        return Err(PageError::Refused(SignInRefusal::SwitchedOff.to_string()));
    }
    let mut problems = setup::refuse(&me.owner.name, &typed.password, &typed.again);
    if problems.is_empty() {
        match site.identity.change_password(&me.owner, &typed.current, &typed.password).await {
            Ok(()) => {}
            Err(SignInRefusal::Wrong) => problems.add("current", "is not right"),
            Err(SignInRefusal::Catalog(error)) => return Err(error.into()),
            Err(refusal) => problems.add("current", format!("was not compared: {refusal}")),
        }
    }
    if !problems.is_empty() {
        return page::unprocessable(&Account::of(&site, &me, problems).await?);
    }
    let mut text = "Your password is changed.".to_owned();
    if typed.others.is_some() {
        text = format!("{text} {}", ended(site.identity.end_others(me.session()).await?));
    }
    me.done(&site, "/admin/account", Flash::done(text)).await
}

pub async fn end_others(State(site): State<Site>, me: SignedIn) -> Answer {
    let count = site.identity.end_others(me.session()).await?;
    me.done(&site, "/admin/account", Flash::done(ended(count))).await
}

fn ended(count: u64) -> String {
    match count {
        0 => "You were signed in nowhere else.".to_owned(),
        1 => "One other browser is signed out.".to_owned(),
        n => format!("{n} other browsers are signed out."),
    }
}
