//! Signing in with Microsoft: to Entra and back, each by a plain link.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use http::StatusCode;
use http::header::RETRY_AFTER;
use secrecy::SecretString;
use serde::Deserialize;

use super::sign_in::{self, local};
use crate::catalog::owner::entra::Account;
use crate::catalog::owner::redeem::Pending;
use crate::identity::entra::{
    AuthorizationRequest, AuthorizationResponse, EntraRefusal, NotAdded, Unconfirmed,
};
use crate::identity::session::{Proof, SessionAsker};
use crate::identity::throttle::Wait;
use crate::portal::Site;
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::error::PageError;
use crate::portal::held::{self, Found};
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::{SignedIn, Trip, Visitor};

const CALLBACK: &str = "/admin/sign-in/entra/callback";

/// Where an owner adds a Microsoft account.
const ACCOUNT: &str = "/admin/account";

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
}

/// Sends the browser to Entra.
pub async fn begin(
    State(site): State<Site>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Answer {
    let next = local(&asked.next);
    go(&site, visitor, async |back| site.identity.begin_entra(back, next, None).await).await
}

/// The same for whoever holds a one-time link: the account becomes the owner's.
pub async fn begin_invited(
    State(site): State<Site>,
    visitor: Visitor,
    Path(token): Path<SecretString>,
) -> Answer {
    match site.identity.pending(&token).await? {
        Some(Pending::Password(_)) => {
            let begin = async |back| site.identity.begin_entra(back, local(""), Some(&token)).await;
            go(&site, visitor, begin).await
        }
        Some(Pending::Administrator) => Err(PageError::NotFound),
        None => super::setup::over(),
    }
}

#[derive(Deserialize)]
pub struct Waiting {
    /// The form that waits for it.
    held: SecretString,
}

/// The same for an owner who is signed in, has no password, and is asked who they are: Microsoft
/// asks again.
pub async fn begin_confirming(
    State(site): State<Site>,
    visitor: Visitor,
    me: SignedIn,
    Query(waiting): Query<Waiting>,
) -> Answer {
    if !site.identity.has_entra() {
        return Err(PageError::NotFound);
    }
    if site.identity.way_to_confirm(&me.owner).await? != Some(Proof::Microsoft) {
        let reason = "Microsoft is not how you confirm who you are here; go back to the page that you came \
                      from and send its form once more";
        return Err(PageError::Refused(reason.to_owned()));
    }
    let next = held::page(&waiting.held);
    let browser = visitor.held_token();
    let found = held::find(&site, me.session(), browser.as_ref(), &waiting.held).await?;
    let Found::Theirs(..) = found else {
        // That page says why nothing waits there for them.
        return Ok(Redirect::to(local(&next)).into_response());
    };
    let begin = async |back| site.identity.begin_confirming(back, local(&next), me.session()).await;
    go(&site, visitor, begin).await
}

/// Sends the browser to Entra, which sends it back to the address that `begin` is given.
async fn go(
    site: &Site,
    visitor: Visitor,
    begin: impl AsyncFnOnce(String) -> Result<Option<AuthorizationRequest>, EntraRefusal>,
) -> Answer {
    match begin(way_back(&visitor)?).await {
        Ok(Some(request)) => {
            Ok((visitor.keeps(Trip::Microsoft, request.ticket), Redirect::to(&request.url))
                .into_response())
        }
        Ok(None) => Err(PageError::NotFound),
        Err(refusal) => refuse(site, &refusal),
    }
}

/// The address to which Entra sends the browser back.
///
/// # Errors
/// Nobody knows whether this proxy is reached there.
fn way_back(visitor: &Visitor) -> Result<String, PageError> {
    if !visitor.base_url.is_confirmed() {
        let reason = "this proxy cannot confirm the address of this page, so Microsoft could not send you \
                      back; ask the operator to start it with --public-url";
        return Err(PageError::Refused(reason.to_owned()));
    }
    Ok(visitor.base_url.join(CALLBACK))
}

#[derive(Deserialize)]
pub struct NewAccount {}

impl Guarded for NewAccount {
    const DOES: &'static str = "let a Microsoft account sign in as you";
    const SECTION: Section = Section::Account;
}

#[derive(Template)]
#[template(path = "admin/add_account.html")]
struct AddAccount<'a> {
    frame: Frame,
    url: &'a str,
}

/// The way to Entra for an owner who adds an account to theirs: a link, since a form may not lead to
/// another site.
pub async fn begin_adding(
    State(site): State<Site>,
    visitor: Visitor,
    Confirmed { me, .. }: Confirmed<NewAccount>,
) -> Answer {
    let back = way_back(&visitor)?;
    match site.identity.begin_adding_account(back, ACCOUNT, me.session()).await {
        Ok(Some(request)) => {
            let page = AddAccount { frame: me.frame(Section::Account), url: &request.url };
            Ok((visitor.keeps(Trip::Microsoft, request.ticket), page::ok(&page)?).into_response())
        }
        Ok(None) => Err(PageError::NotFound),
        Err(refusal) => refuse(&site, &refusal),
    }
}

/// What Entra sends with the browser: a code, or an error.
#[derive(Deserialize)]
pub struct Brought {
    #[serde(default)]
    state: String,
    code: Option<SecretString>,
    error: Option<String>,
    #[serde(default)]
    error_description: String,
}

/// The browser is back.
pub async fn callback(
    State(site): State<Site>,
    visitor: Visitor,
    brought: Result<Query<Brought>, QueryRejection>,
) -> Answer {
    if !site.identity.has_entra() {
        return Err(PageError::NotFound);
    }
    let Ok(Query(brought)) = brought else { return refuse(&site, &EntraRefusal::Stale) };
    let session = match visitor.session_token() {
        Some(token) => site.identity.session(&token, SessionAsker::Person).await?,
        None => None,
    };
    let back = AuthorizationResponse {
        ticket: visitor.ticket(Trip::Microsoft).unwrap_or_default(),
        state: &brought.state,
        code: brought.code.as_ref(),
        error: brought.error.as_deref(),
        error_description: &brought.error_description,
        source: visitor.source,
        session: session.as_ref(),
    };
    match site.identity.finish_entra(back).await {
        Ok(done) => {
            let visitor = visitor.without_ticket(Trip::Microsoft);
            let cookies = match &done.signs_in {
                Some(owner) => {
                    let shown = (Proof::Microsoft, None);
                    sign_in::welcome(&site, visitor, owner, shown).await?
                }
                None => visitor.cookies(),
            };
            Ok((cookies, Redirect::to(local(&done.next))).into_response())
        }
        // This browser may have begun another one, which is to be finished.
        Err(EntraRefusal::Stale) => refuse(&site, &EntraRefusal::Stale),
        Err(EntraRefusal::Catalog(error)) => Err(error.into()),
        Err(refusal) => {
            Ok((visitor.without_ticket(Trip::Microsoft).cookies(), refuse(&site, &refusal)?)
                .into_response())
        }
    }
}

#[derive(Template)]
#[template(path = "admin/entra.html")]
struct Refused<'a> {
    title: &'static str,
    text: String,
    /// Whom to hand over to who can let them in.
    account: Option<&'a Account>,
    administrators: &'a [String],
    /// Whether there is another way in.
    takes_passwords: bool,
    /// The page that they came from, where they did not want to sign in, and what its link says.
    back: Option<(&'a str, &'static str)>,
}

fn unconfirmed(why: Unconfirmed) -> &'static str {
    match why {
        Unconfirmed::OtherSession => {
            "You signed out here, or signed in again, while you were at Microsoft. Nothing has been done. \
             Go back to the page that you came from and send its form once more."
        }
        Unconfirmed::Cancelled => {
            "Signing in with Microsoft was cancelled. Nothing has been done. The form still waits."
        }
        Unconfirmed::OtherAccount => {
            "You signed in at Microsoft with another account than the one that is yours here. Nothing has \
             been done. The form still waits: try again, and choose your own account at Microsoft."
        }
        Unconfirmed::NoTime => {
            "Microsoft did not say when you signed in, so nobody can tell whether it was just now. \
             Nothing has been done. Ask the operator of this proxy to add the optional claim auth_time to \
             ID tokens, in the app registration at Microsoft."
        }
        Unconfirmed::TooOld => {
            "Microsoft did not ask you to sign in within the last five minutes. Nothing has been done. The \
             form still waits: try again, and sign in when Microsoft asks. If you see this page again, ask \
             the operator of this proxy whether its clock is right."
        }
    }
}

fn not_added(why: NotAdded) -> &'static str {
    match why {
        NotAdded::OtherSession => {
            "While you were at Microsoft, your sign-in here ended or another one began. No account was \
             added, and nobody was signed in. Open the account page, sign in there if you are asked to, and \
             add the account again."
        }
        NotAdded::Cancelled => "Signing in with Microsoft was cancelled. No account was added.",
        NotAdded::Voided => {
            "While you were at Microsoft, you began again in another window, or your password was changed. \
             No account was added. Open the account page and add the account again if it is not there."
        }
    }
}

fn refuse(site: &Site, refusal: &EntraRefusal) -> Answer {
    let (status, title, text) = match refusal {
        EntraRefusal::Stale => (
            StatusCode::BAD_REQUEST,
            "Start again",
            "This sign-in was not begun in this browser, was finished already, or took longer \
             than ten minutes."
                .to_owned(),
        ),
        EntraRefusal::Cancelled => (
            StatusCode::FORBIDDEN,
            "Not signed in",
            "Signing in with Microsoft was cancelled.".to_owned(),
        ),
        EntraRefusal::Denied(code) => (
            StatusCode::FORBIDDEN,
            "Not signed in",
            format!(
                "Microsoft did not let you through ({code}). Ask whoever manages accounts in your \
                 organisation."
            ),
        ),
        EntraRefusal::Unavailable | EntraRefusal::Catalog(_) => (
            StatusCode::BAD_GATEWAY,
            "Microsoft sign-in does not work",
            "Microsoft does not answer, or not as it should; the operator of this proxy finds the \
             reason in its log. Try again in a moment."
                .to_owned(),
        ),
        EntraRefusal::ForeignTenant(_) => (
            StatusCode::FORBIDDEN,
            "Your organisation is not let in",
            "Microsoft says who you are, but this proxy takes accounts of other organisations \
             only. Sign in with another account, or ask the operator of this proxy and hand over \
             these ids."
                .to_owned(),
        ),
        EntraRefusal::Stranger { .. } => (
            StatusCode::FORBIDDEN,
            "You are not an owner here",
            "Microsoft says who you are, but nobody has let you in yet. Ask an administrator of \
             this proxy for an invitation, or hand over these ids."
                .to_owned(),
        ),
        EntraRefusal::Deactivated(owner) => (
            StatusCode::FORBIDDEN,
            "Your account is deactivated",
            format!("{} cannot sign in. An administrator can reactivate the account.", owner.name),
        ),
        EntraRefusal::Unconfirmed { why, .. } => {
            (StatusCode::FORBIDDEN, "Not confirmed", unconfirmed(*why).to_owned())
        }
        EntraRefusal::NotAdded(why) => {
            (StatusCode::FORBIDDEN, "No account was added", not_added(*why).to_owned())
        }
        EntraRefusal::LinkIsOver => return super::setup::over(),
        EntraRefusal::Throttled(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many attempts",
            format!("Too many sign-ins from here failed; the next is taken in {wait}."),
        ),
    };
    let (account, administrators) = match refusal {
        EntraRefusal::ForeignTenant(account) => (Some(account), &[][..]),
        EntraRefusal::Stranger { account, administrators } => (Some(account), &administrators[..]),
        _ => (None, &[][..]),
    };
    let takes_passwords = site.identity.takes_passwords();
    let back = match refusal {
        EntraRefusal::Unconfirmed { next, .. } => Some((&**next, "Back to the form")),
        EntraRefusal::NotAdded(_) => Some((ACCOUNT, "Open the account page")),
        _ => None,
    };
    let page = Refused { title, text, account, administrators, takes_passwords, back };
    let mut answer = page::with_status(status, &page)?;
    if let EntraRefusal::Throttled(Wait(seconds)) = refusal {
        answer.headers_mut().insert(RETRY_AFTER, (*seconds).into());
    }
    Ok(answer)
}
