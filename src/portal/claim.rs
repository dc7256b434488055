//! Where an attendee takes the code of a card for their key.
//!
//! The code comes in the fragment of the card's link, which no browser sends, and
//! goes into a form. Wrong ones are counted by address; right ones pass however
//! many were wrong before, since a room shares one address. What keeps guessers
//! out are the code's 60 bits.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::RETRY_AFTER;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Site;
use super::form::{Form, Problems};
use super::page::{self, Answer};
use super::visitor::Visitor;
use crate::catalog::attendee::claim::{self, Claim};
use crate::catalog::event::{self, Event};
use crate::clock;
use crate::identity::throttle::Wait;
use crate::net::base_url::BaseUrl;
use crate::snippets::McpServer;

#[derive(Template)]
#[template(path = "claim.html")]
struct Ask<'a> {
    code: &'a str,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "claim_refused.html")]
struct Refused {
    title: &'static str,
    text: String,
    event: Event,
}

#[derive(Template)]
#[template(path = "claim_done.html")]
struct Done<'a> {
    name: &'a str,
    key: &'a str,
    event: Event,
    starts: String,
    ends: String,
    servers: Vec<Server>,
    /// Whether the URLs are sure to lead here.
    is_confirmed: bool,
}

/// An MCP server of the event, and what to paste where.
struct Server {
    name: String,
    url: String,
    snippets: Vec<(&'static str, String)>,
}

pub async fn show() -> Answer {
    page::ok(&Ask { code: "", problems: Problems::none() })
}

#[derive(Deserialize)]
pub struct Typed {
    code: SecretString,
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Answer {
    let typed = typed.code.expose_secret();
    let of = async |owner: &str, id: &str| event::get(&site.db, &site.vault, owner, id).await;
    match claim::claim(&site.db, &site.vault, typed, site.clock.now_ms()).await? {
        Claim::Key { attendee, owner_id, key } => {
            let event = of(&owner_id, &attendee.event_id).await?;
            page::ok(&Done {
                name: &attendee.display_name,
                key: key.expose_secret(),
                starts: clock::wall_clock(event.starts_at, &event.time_zone).replace('T', " "),
                ends: clock::wall_clock(event.ends_at, &event.time_zone).replace('T', " "),
                servers: servers(&event, &visitor.base_url, &key),
                is_confirmed: visitor.base_url.is_confirmed(),
                event,
            })
        }
        Claim::Used { event_id, owner_id, at } => {
            let event = of(&owner_id, &event_id).await?;
            let at = clock::wall_clock(at, &event.time_zone).replace('T', " ");
            let text = format!(
                "It was claimed on {at} ({}), and a card works once. If that was not you, or the key is lost, \
                 ask the organiser for a new card.",
                event.time_zone
            );
            refuse("This card was used", text, event)
        }
        Claim::Ended { event_id, owner_id } => {
            let event = of(&owner_id, &event_id).await?;
            let at = clock::wall_clock(event.ends_at, &event.time_zone).replace('T', " ");
            let text = format!("It ended on {at} ({}); its keys work no more.", event.time_zone);
            refuse("The event is over", text, event)
        }
        Claim::Deactivated { event_id, owner_id } => {
            let event = of(&owner_id, &event_id).await?;
            let text = "The card is not lost: it works once the organiser switches it on again.";
            refuse("This card is switched off", text.to_owned(), event)
        }
        Claim::Unknown => unknown(&site, &visitor, typed),
    }
}

fn refuse(title: &'static str, text: String, event: Event) -> Answer {
    page::with_status(StatusCode::GONE, &Refused { title, text, event })
}

fn unknown(site: &Site, visitor: &Visitor, code: &str) -> Answer {
    let counted = site.identity.wrong_card(visitor.source);
    let reason = match counted {
        Ok(()) => "is none that we know: look at the card again. A newer card voids an older one"
            .to_owned(),
        Err(Wait(seconds)) => format!(
            "is none that we know, and too many wrong ones came from your network. The code of a card still \
             works at once; wait {seconds} s before you guess again"
        ),
    };
    let ask = Ask { code: page::shown_again(code), problems: Problems::one("code", reason) };
    match counted {
        Ok(()) => page::unprocessable(&ask),
        Err(Wait(seconds)) => {
            let page = page::with_status(StatusCode::TOO_MANY_REQUESTS, &ask)?;
            Ok(([(RETRY_AFTER, seconds.to_string())], page).into_response())
        }
    }
}

fn servers(event: &Event, base: &BaseUrl, key: &SecretString) -> Vec<Server> {
    let used = event.resources.iter().filter(|resource| resource.active);
    used.filter_map(|resource| {
        let path = resource.kind.client_path(&resource.deployment)?;
        let url = base.join(&path);
        let server = McpServer { name: &resource.deployment, url: &url, api_key: key };
        let snippets = vec![
            ("VS Code: .vscode/mcp.json", server.vscode()),
            ("Claude Desktop: claude_desktop_config.json", server.claude_desktop()),
            (
                "Claude Desktop, for versions that only start programs",
                server.claude_desktop_bridge(),
            ),
            ("Claude Code: in a shell", server.claude_code()),
            ("Python, with FastMCP", server.python()),
            ("curl: open a session", server.curl_initialize()),
            ("curl: then list the tools", server.curl_list_tools()),
        ];
        Some(Server { name: resource.deployment.to_string(), url, snippets })
    })
    .collect()
}
