//! Whether the public URL leads here. It is asked over the network, from this
//! machine: what a laptop in the room gets to see may be another thing, and the
//! words say so.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::board::{Mark, Tick};
use crate::catalog::event::Event;
use crate::catalog::new_id;
use crate::config::Config;
use crate::config::values::is_confidential;
use crate::net::EndpointPolicy;
use crate::net::base_url::{BaseUrl, is_loopback};
use crate::net::client::ClientError;
use crate::probe::{Failure, ProbeAnswer, ProbeTarget, Transport};
use crate::proxy::REQUEST_ID;

const PATIENCE: Duration = Duration::from_secs(10);

/// What is added where clients can sign in without a key over plain HTTP.
const PLAIN_SIGN_IN: &str = ". Clients can sign in without a key, but over plain http Claude and ChatGPT on \
                             the web and the MCP TypeScript SDK from 2.0 on refuse to: give their people keys";

pub(super) async fn check(config: &Config, event: &Event) -> Tick {
    let Some(public) = &config.public_url else {
        let said = "no --public-url is set, so attendees get the address that you have in your \
                    browser. Open it once on a phone in the room";
        return Tick::found("", Mark::Warning, said);
    };
    let url = BaseUrl::public(public).join(&format!("/api/v1/event/{}", event.id));
    let Ok(url) = url.parse() else {
        return Tick::found("", Mark::Bad, format!("{public} cannot be used as an address"));
    };
    let target = ProbeTarget {
        url,
        credential: None,
        policy: EndpointPolicy::Any,
        connect_timeout: PATIENCE,
        answer_timeout: PATIENCE,
    };
    // Every answer of ours repeats it: by that, we know ourselves.
    let id = format!("preflight-{}", new_id());
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::try_from(&id) {
        headers.insert(REQUEST_ID, id);
    }
    match target.ask(Method::GET, headers, None).await {
        Ok(answer) => {
            let (mark, mut said) = judge(public, event, &answer, &id);
            if config.has_oauth() && !is_confidential(public) {
                said.push_str(PLAIN_SIGN_IN);
            }
            let took = answer.connected_in + answer.answered_in;
            Tick { ms: u64::try_from(took.as_millis()).ok(), ..Tick::found("", mark, said) }
        }
        Err(failure) => Tick::found("", Mark::Bad, reason(public, &failure)),
    }
}

fn judge(public: &Url, event: &Event, answer: &ProbeAnswer, id: &str) -> (Mark, String) {
    let status = answer.status;
    if answer.headers.get(REQUEST_ID).is_none_or(|echoed| echoed != id) {
        let said = format!(
            "something answers at {public} ({}), but it is not this proxy",
            status.as_u16()
        );
        return (Mark::Bad, said);
    }
    let reached = format!("{public} leads here, asked from this machine");
    match status {
        _ if is_loopback(public) => {
            let said = format!(
                "{reached}, but nobody else can reach it. Set --public-url to an address that the \
                 room can reach"
            );
            (Mark::Warning, said)
        }
        StatusCode::OK => {
            (Mark::Good, format!("{reached}. Open it once from the room's network, too"))
        }
        StatusCode::NOT_FOUND if !event.active => {
            (Mark::Good, format!("{reached}; it shows the event once that is switched on"))
        }
        _ => (Mark::Warning, format!("{reached}, but it answered {}", status.as_u16())),
    }
}

fn reason(public: &Url, failure: &Failure) -> String {
    match failure {
        Failure::Client(ClientError::Refused { .. }) => {
            format!("{public} refuses the connection from this machine")
        }
        Failure::Redirect { status, to } => format!(
            "{public} redirects to {to} ({}); set --public-url to where that leads",
            status.as_u16()
        ),
        other => format!("{public} cannot be reached from this machine: {other}"),
    }
}
