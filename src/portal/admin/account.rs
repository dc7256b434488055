//! The owner's own account: the password, the browsers signed in, and who tried to sign in.

use askama::Template;
use axum::extract::State;
use secrecy::SecretString;
use serde::Deserialize;

use super::setup;
use crate::catalog::owner::sign_in::{self, SignIn, Whose};
use crate::catalog::owner::{self, api_token};
use crate::clock::DAY_MS;
use crate::identity::local::SignInRefusal;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::flash::Flash;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

/// How long the page looks back for attempts to sign in that failed.
const LOOKED_BACK_DAYS: i64 = 30;

/// More rows than one hour has of an owner's sign-ins, so that the last one is among them.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "admin/account.html")]
struct Account {
    frame: Frame,
    me: String,
    has_password: bool,
    /// Whether one could be used.
    takes_passwords: bool,
    has_entra: bool,
    /// Whether a Microsoft account could be used.
    takes_entra: bool,
    /// Other browsers in which this owner is signed in.
    others: u64,
    last: Option<SignIn>,
    /// Attempts to sign in as this owner that failed in [`LOOKED_BACK_DAYS`].
    failed: i64,
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
        site.identity.write_failures_in_time().await;
        let whose = Whose::Owner(&me.owner.id);
        let recent = sign_in::list(&site.db, whose, Some(true), None, ROWS).await?;
        let last = recent.into_iter().max_by_key(|one| one.times.last_at);
        let since = site.clock.now_ms() - LOOKED_BACK_DAYS * DAY_MS;
        let failed = sign_in::count_failed(&site.db, &me.owner.id, since).await?;
        Ok(Self {
            frame: me.frame(Section::Account),
            me: me.owner.id.clone(),
            has_password,
            takes_passwords,
            has_entra,
            takes_entra: site.identity.has_entra(),
            others,
            last,
            failed,
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
        match site
            .identity
            .change_password(&me.owner, &typed.current, &typed.password, me.source)
            .await
        {
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
