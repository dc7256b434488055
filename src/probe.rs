//! Asks an MCP server whether it can serve a workshop.
//!
//! [`check`] connects as an MCP client does: it opens (`initialize`, or
//! `server/discover` where the server speaks only the revision without
//! sessions), lists the tools, compares its session with a second one and leaves. It reports the exact
//! reason of a failure and never the backend key. The command line and *Test connection* use it;
//! calls of attendees do not go through here, but the data plane calls [`constant_session`].
//! A pre-flight and an attendee's page have the same [`Conversation`] by another [`Transport`].

mod body;
mod conversation;
mod exchange;
mod failure;
mod opening;
mod report;
mod rpc;
mod sse;
mod transport;

use url::Url;

pub use self::body::read;
pub use self::conversation::{Conversation, Tool, ToolResult, constant_session};
pub use self::failure::Failure;
pub use self::report::Report;
pub use self::transport::{ProbeAnswer, ProbeTarget, Transport};

/// Connects to an MCP server and lists its tools.
///
/// # Errors
/// The reason why attendees could not use it. Where the path is what is wrong,
/// the usual path is tried as well, and named if it answers.
pub async fn check(target: &ProbeTarget) -> Result<Report, Failure> {
    match converse(target).await {
        Err(failure) if failure.may_be_the_path() => Err(elsewhere(target, failure).await),
        outcome => outcome,
    }
}

/// Opens in whichever way the server understands, lists its tools and leaves.
async fn converse(target: &ProbeTarget) -> Result<Report, Failure> {
    let (conversation, report) = Conversation::open(target).await?;
    let tools = conversation.tools().await;
    let constant_session = conversation.constant().await.map(Box::new);
    if constant_session.is_none() {
        // Its answer makes no difference.
        drop(conversation.leave().await);
    }
    Ok(Report { tools: tools?, constant_session, ..report })
}

/// Looks for the path that was meant, where `found` is what is at the given one: which
/// path works, or that none of the usual ones does, or which of them would not say.
pub async fn elsewhere(target: &ProbeTarget, found: Failure) -> Failure {
    let mut silent = None;
    for url in usual_places(&target.url) {
        let place = ProbeTarget { url, ..target.clone() };
        let path = || place.url.path().to_owned();
        match Conversation::open(&place).await {
            Ok((conversation, _)) => {
                if conversation.constant().await.is_none() {
                    // Its answer makes no difference.
                    drop(conversation.leave().await);
                }
                return Failure::WrongPath { path: target.url.path().to_owned(), works: path() };
            }
            Err(reason) if reason.may_pass() => silent = silent.or(Some((path(), reason))),
            Err(_) => {}
        }
    }
    match silent {
        Some((path, reason)) => {
            Failure::Unsettled { found: Box::new(found), path, reason: Box::new(reason) }
        }
        None => found,
    }
}

/// Where MCP servers usually answer: `/mcp` below the given path, and at the root.
fn usual_places(url: &Url) -> Vec<Url> {
    let below = format!("{}/mcp", url.path().trim_end_matches('/'));
    let mut places = Vec::new();
    for path in [below.as_str(), "/mcp"] {
        let mut place = url.clone();
        place.set_path(path);
        if place.path() != url.path().trim_end_matches('/') && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_places_are_tried_once_each_and_never_the_given_one() {
        let places = |url: &str| {
            let places = usual_places(&url.parse().unwrap());
            places.iter().map(Url::to_string).collect::<Vec<_>>()
        };
        assert_eq!(places("http://h/"), ["http://h/mcp"]);
        assert_eq!(places("http://h/a?t=1"), ["http://h/a/mcp?t=1", "http://h/mcp?t=1"]);
        assert_eq!(places("http://h/mcp/"), ["http://h/mcp/mcp"]);
    }
}
