//! *Try it here*: the tools of a server, and a form that calls one. The call goes through the data
//! plane with the person's own key, so it is admitted, counted and refused as from their client.

mod fields;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};

use self::fields::{Field, Kind};
use super::person::advice;
use super::{Here, Mine, path};
use crate::catalog::attendee::session::AttendeeSession;
use crate::catalog::attendee::yours;
use crate::catalog::event::Event;
use crate::catalog::resource::Resource;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::Form;
use crate::portal::page::{self, Answer};
use crate::probe::{Conversation, Failure, Tool, ToolResult};
use crate::proxy::worker::Worker;
use crate::through_proxy::{ThroughProxy, Who};

/// How long a server may take for all of it.
const PATIENCE: Duration = Duration::from_secs(30);

const TOO_LONG: &str =
    "The server behind the proxy took longer than 30 s. Your set-up is right: tell the organiser.";

/// Tools that are shown.
const MOST_TOOLS: usize = 50;

#[derive(Template)]
#[template(path = "attendee/try.html")]
struct Try {
    event: Event,
    path: String,
    deployment: String,
    tools: Vec<Shown>,
    /// Why the tools could not be listed.
    failure: Option<String>,
    outcome: Option<Outcome>,
}

struct Shown {
    tool: Tool,
    fields: Vec<Field>,
    /// Its form was sent.
    is_chosen: bool,
}

/// The result of a call.
struct Outcome {
    tool: String,
    is_good: bool,
    text: String,
}

pub async fn show(
    State(site): State<Site>,
    mine: Mine,
    Path((_, deployment)): Path<(String, String)>,
) -> Answer {
    try_it(&site, mine, &deployment, &[]).await
}

/// The fields of a tool's form: `tool`, and one for each argument.
pub async fn call(
    State(site): State<Site>,
    mine: Mine,
    Path((_, deployment)): Path<(String, String)>,
    Form(sent): Form<Vec<(String, String)>>,
) -> Answer {
    try_it(&site, mine, &deployment, &sent).await
}

async fn try_it(
    site: &Site,
    Mine { here: Here { event, .. }, session }: Mine,
    deployment: &str,
    sent: &[(String, String)],
) -> Answer {
    let mut usable = event.resources.iter().filter(|one| one.active && one.kind.is_probed());
    let resource = usable.find(|one| *one.deployment == *deployment).cloned();
    let resource = resource.ok_or(PageError::NotFound)?;
    let _turn = site.tryouts.take(&session.attendee.id).await?;
    let tried = Tried::of(site, &session, &resource, sent);
    let tried = match tokio::time::timeout(PATIENCE, tried).await {
        Ok(tried) => tried?,
        Err(_) => Tried { failure: Some(TOO_LONG.to_owned()), ..Tried::default() },
    };
    let page = Try {
        path: path(&event.id),
        event,
        deployment: deployment.to_owned(),
        tools: tried.tools,
        failure: tried.failure,
        outcome: tried.outcome,
    };
    page::ok(&page)
}

#[derive(Default)]
struct Tried {
    tools: Vec<Shown>,
    failure: Option<String>,
    outcome: Option<Outcome>,
}

impl Tried {
    async fn of(
        site: &Site,
        session: &AttendeeSession,
        resource: &Resource,
        sent: &[(String, String)],
    ) -> Result<Self, PageError> {
        let key = yours::key(&site.db, &site.vault, session).await?;
        let worker = Arc::new(Worker::uncounted(site.plane.clone()));
        let transport = match ThroughProxy::new(worker, Who::Attendee(key), resource) {
            Ok(transport) => transport,
            Err(failure) => return Ok(Self::failed(&failure)),
        };
        let (conversation, _) = match Conversation::open(&transport).await {
            Ok(opened) => opened,
            Err(failure) => return Ok(Self::failed(&failure)),
        };
        let mut tried = Self::default();
        match conversation.described_tools().await {
            Ok(tools) => {
                tried.tools = shown(tools, sent);
                tried.outcome = call_chosen(&conversation, &mut tried.tools).await;
            }
            Err(failure) => tried.failure = Some(told(&failure)),
        }
        // Its answer makes no difference.
        drop(conversation.leave().await);
        Ok(tried)
    }

    fn failed(failure: &Failure) -> Self {
        Self { failure: Some(told(failure)), ..Self::default() }
    }
}

/// The tools as they are shown. That whose form was sent has what was typed.
fn shown(tools: Vec<Tool>, sent: &[(String, String)]) -> Vec<Shown> {
    let chosen = sent.iter().find(|(name, _)| name == "tool").map(|(_, tool)| tool.as_str());
    let show = |tool: Tool| {
        let is_chosen = chosen == Some(&*tool.name);
        let sent = if is_chosen { sent } else { &[] };
        Shown { fields: fields::of(&tool.schema, sent), is_chosen, tool }
    };
    tools.into_iter().take(MOST_TOOLS).map(show).collect()
}

/// Calls the tool whose form was sent, if what was typed fits.
async fn call_chosen(
    conversation: &Conversation<'_, ThroughProxy>,
    tools: &mut [Shown],
) -> Option<Outcome> {
    let chosen = tools.iter_mut().find(|shown| shown.is_chosen)?;
    let arguments = fields::arguments(&mut chosen.fields).ok()?;
    let tool = chosen.tool.name.clone();
    let (is_good, text) = match conversation.call(&tool, arguments).await {
        Ok(ToolResult { is_error, text }) => (!is_error, text),
        Err(failure) => (false, told(&failure)),
    };
    Some(Outcome { tool, is_good, text })
}

/// What went wrong, without what only the organiser may know of the server.
fn told(failure: &Failure) -> String {
    match failure {
        Failure::Proxy { code, .. } => format!("{code}: {}", advice(code)),
        Failure::Protocol { message, .. } => format!("The server refused it: {message}"),
        _ => "The server behind the proxy did not answer as it should. Your set-up is right: tell \
              the organiser."
            .to_owned(),
    }
}
