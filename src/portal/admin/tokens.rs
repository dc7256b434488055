//! The owner's API tokens: made, shown once, revoked.

use askama::Template;
use axum::extract::{Path, State};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::catalog::owner::api_token::{self, ApiToken};
use crate::clock::date;
use crate::portal::Site;
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

const PATH: &str = "/admin/tokens";

#[derive(Template)]
#[template(path = "admin/tokens.html")]
struct Tokens {
    frame: Frame,
    tokens: Vec<ApiToken>,
    now: i64,
    typed: New,
    problems: Problems,
}

/// A token to be made, as it was typed.
#[derive(Deserialize)]
pub struct New {
    name: String,
    /// Empty: until it is revoked.
    days: String,
}

impl Guarded for New {
    const DOES: &'static str = "make an API token, with which a program can do what you can";
    const SECTION: Section = Section::Account;
}

impl New {
    fn days(&self) -> Result<Option<u32>, Problems> {
        match self.days.trim() {
            "" => Ok(None),
            days => days
                .parse()
                .map(Some)
                .map_err(|_| Problems::one("days", "must be a number from 1 to 3650, or empty")),
        }
    }
}

impl Tokens {
    async fn of(
        site: &Site,
        me: &SignedIn,
        typed: New,
        problems: Problems,
    ) -> Result<Self, PageError> {
        let tokens = api_token::list(&site.db, &me.owner.id).await?;
        let frame = me.frame(Section::Account);
        Ok(Self { frame, tokens, now: site.clock.now_ms(), typed, problems })
    }
}

pub async fn show(State(site): State<Site>, me: SignedIn) -> Answer {
    let blank = New { name: String::new(), days: "90".to_owned() };
    page::ok(&Tokens::of(&site, &me, blank, Problems::none()).await?)
}

pub async fn create(State(site): State<Site>, Confirmed { me, typed }: Confirmed<New>) -> Answer {
    let made = match typed.days() {
        Ok(days) => match api_token::create(&site.db, &me.actor(), &typed.name, days).await {
            Ok(token) => Ok(token),
            Err(error) => Err(Problems::from_error(error)?),
        },
        Err(problems) => Err(problems),
    };
    match made {
        Ok(token) => {
            let text = format!(
                "The token {} is made. Copy it now: it is not shown again.",
                typed.name.trim()
            );
            let flash = Flash::done(text).with_secret(token.expose_secret());
            me.done(&site, PATH, flash).await
        }
        Err(problems) => page::unprocessable(&Tokens::of(&site, &me, typed, problems).await?),
    }
}

#[derive(Template)]
#[template(path = "admin/token_revoke.html")]
struct Revoke {
    frame: Frame,
    token: ApiToken,
}

pub async fn ask_revoke(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let tokens = api_token::list(&site.db, &me.owner.id).await?;
    let token = tokens.into_iter().find(|token| token.id == id).ok_or(PageError::NotFound)?;
    page::ok(&Revoke { frame: me.frame(Section::Account), token })
}

#[derive(Deserialize)]
pub struct Revocation {}

impl Guarded for Revocation {
    const DOES: &'static str = "revoke the token: programs that use it are refused from then on";
    const SECTION: Section = Section::Account;
}

pub async fn revoke(
    State(site): State<Site>,
    Path(id): Path<String>,
    Confirmed { me, .. }: Confirmed<Revocation>,
) -> Answer {
    let name = api_token::revoke(&site.db, &me.actor(), &id).await?;
    me.done(&site, PATH, Flash::done(format!("The token {name} is revoked."))).await
}
