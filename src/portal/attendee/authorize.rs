//! `/authorize`: where an MCP client sends its person, to be allowed to use MCP servers as them.
//!
//! Whoever is not signed in to an event here does so first, on this page. Then they see who asks, for
//! what, and where the browser goes afterwards. Every form posts to the very address of the page, so the
//! client's request is in each of them, and is read and checked again.

mod people;
mod sign_in;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded;

use self::people::{Person, choose};
use self::sign_in::{SignIn, Typing};
use crate::oauth::AUTHORIZE;
use crate::oauth::request::{AuthorizationRequest, Proof, Refusal};
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::Form;
use crate::portal::page::{self, Answer, LeadsElsewhere};
use crate::portal::visitor::Visitor;

/// What this page adds to the client's query: the event as whose attendee the person goes on, or that
/// they want to sign in as somebody else.
const AS_EVENT: &str = "as_event";
const ANOTHER: &str = "another";

/// A request that can be allowed, and what the person chose so far.
pub struct Asked {
    request: AuthorizationRequest,
    /// The client's query, without what this page adds.
    query: String,
    as_event: Option<String>,
    is_another: bool,
}

impl Asked {
    /// # Errors
    /// The answer in place of the page.
    async fn read(site: &Site, visitor: &Visitor, uri: &Uri) -> Result<Self, Answer> {
        let (query, as_event, is_another) = read_query(uri.query().unwrap_or_default());
        let issuer = visitor.base_url.as_str();
        let is_ours = |url: &url::Url| {
            site.config.is_own_origin(url) || url.origin().ascii_serialization() == issuer
        };
        match site.oauth.request(&query, visitor.source, issuer, is_ours).await {
            Ok(request) => Ok(Self { request, query, as_event, is_another }),
            Err(Refusal::Back(to)) => Err(Ok(Redirect::to(&to).into_response())),
            Err(refusal) => Err(refused(&refusal)),
        }
    }

    fn path(&self) -> String {
        format!("{AUTHORIZE}?{}", self.query)
    }

    /// The same page, as the attendee of this event.
    fn path_as(&self, event_id: &str) -> String {
        format!("{}&{AS_EVENT}={event_id}", self.path())
    }

    /// Leads there, for whoever is signed in to the event.
    fn again_as(&self, event_id: &str) -> Response {
        Redirect::to(&self.path_as(event_id)).into_response()
    }

    /// The same page, to sign in as somebody else.
    fn path_another(&self) -> String {
        format!("{}&{ANOTHER}=1", self.path())
    }
}

/// The client's query, without what this page adds: the event, and whether to sign in as somebody else.
fn read_query(sent: &str) -> (String, Option<String>, bool) {
    let (mut as_event, mut is_another) = (None, false);
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(sent.as_bytes()) {
        match &*name {
            AS_EVENT => as_event = Some(value.into_owned()),
            ANOTHER => is_another = true,
            _ => drop(query.append_pair(&name, &value)),
        }
    }
    (query.finish(), as_event, is_another)
}

#[derive(Template)]
#[template(path = "attendee/authorize_refused.html")]
struct Refused {
    text: &'static str,
}

fn refused(refusal: &Refusal) -> Answer {
    let text = match refusal {
        Refusal::WrongRedirect => {
            "Your client wants the browser to go to an address that is not one of its own."
        }
        Refusal::UnusableDocument => {
            "Your client describes itself in a document on the web, which could not be read or does not fit."
        }
        Refusal::Busy => return Err(PageError::Busy),
        Refusal::UnknownClient | Refusal::Back(_) => "Your client is not registered here.",
    };
    page::with_status(StatusCode::BAD_REQUEST, &Refused { text })
}

#[derive(Template)]
#[template(path = "attendee/authorize_consent.html")]
struct Consent<'a> {
    asked: &'a Asked,
    person: &'a Person,
    /// Ties the form to this browser's session and this request.
    seal: String,
}

impl Consent<'_> {
    fn servers(&self) -> String {
        self.person.servers().join(", ")
    }
}

#[derive(Template)]
#[template(path = "attendee/authorize_choose.html")]
struct Choose<'a> {
    asked: &'a Asked,
    people: &'a [Person],
}

/// Lets an answer lead to the client, by its form or by itself.
fn leading(answer: Answer) -> Answer {
    let mut response = answer?;
    response.extensions_mut().insert(LeadsElsewhere);
    Ok(response)
}

pub async fn show(State(site): State<Site>, visitor: Visitor, uri: Uri) -> Answer {
    let asked = match Asked::read(&site, &visitor, &uri).await {
        Ok(asked) => asked,
        Err(answer) => return leading(answer),
    };
    leading(ask(&site, visitor, &asked).await)
}

async fn ask(site: &Site, mut visitor: Visitor, asked: &Asked) -> Answer {
    let (people, ended) = people::signed_in(site, &visitor).await?;
    visitor.opens_form()?;
    let is_in = |id: &str| people.iter().any(|person| person.event.id == id);
    let elsewhere = asked.as_event.as_deref().filter(|id| !is_in(id));
    let page = match choose(asked, &people) {
        _ if asked.is_another || elsewhere.is_some() || people.is_empty() => {
            let typing = Typing::at(elsewhere.unwrap_or_default());
            page::ok(&SignIn { ended, ..SignIn::new(site, &visitor, asked, typing) })?
        }
        Some(person) => page::ok(&Consent { asked, person, seal: seal(site, asked, person) })?,
        None => page::ok(&Choose { asked, people: &people })?,
    };
    Ok((visitor.cookies(), page).into_response())
}

#[derive(Deserialize)]
#[serde(default)]
pub struct Typed {
    decision: String,
    seal: SecretString,
    /// The code of a card, or a key.
    given: SecretString,
    event: String,
    code: SecretString,
    name: String,
    is_me: Option<String>,
}

impl Default for Typed {
    fn default() -> Self {
        let none = SecretString::default;
        let (decision, event, name) = Default::default();
        Self { decision, seal: none(), given: none(), event, code: none(), name, is_me: None }
    }
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    uri: Uri,
    Form(typed): Form<Typed>,
) -> Answer {
    let asked = match Asked::read(&site, &visitor, &uri).await {
        Ok(asked) => asked,
        Err(answer) => return leading(answer),
    };
    leading(match &*typed.decision {
        "deny" => Ok(Redirect::to(&asked.request.denied()).into_response()),
        "allow" => allow(&site, visitor, &asked, typed.seal.expose_secret()).await,
        "join" => sign_in::by_code(&site, visitor, &asked, &typed).await,
        "github" => sign_in::by_github(&site, visitor, &asked, &typed).await,
        "gateway" => sign_in::by_gateway(&site, visitor, &asked, &typed).await,
        _ => sign_in::by_card_or_key(&site, visitor, &asked, typed.given.expose_secret()).await,
    })
}

/// Nobody but this browser's session can have made it, and it is worth nothing for another request.
fn seal(site: &Site, asked: &Asked, person: &Person) -> String {
    site.vault.digest(&format!("consent {} {}", person.session.id(), asked.query)).hex()
}

/// Sends the browser back with a code, if the form is that of its own session for this very request.
async fn allow(site: &Site, visitor: Visitor, asked: &Asked, sealed: &str) -> Answer {
    let (people, _) = people::signed_in(site, &visitor).await?;
    let is_own = |person: &&Person| {
        let right = seal(site, asked, person);
        aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), sealed.as_bytes())
            .is_ok()
    };
    let Some(person) = people.iter().find(is_own).filter(|one| one.has(&asked.request.audience))
    else {
        // The session has ended, or the event has changed: the page says what is left.
        return Ok(Redirect::to(&asked.path()).into_response());
    };
    let code = person.event.shared_code.as_ref().filter(|_| person.session.way.is_by_code());
    let code = code.map(ExposeSecret::expose_secret);
    let to = site.oauth.allow(&asked.request, &person.session, code).await?;
    Ok(Redirect::to(&to).into_response())
}
