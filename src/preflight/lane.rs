//! One resource, as an attendee would use it: open, list the tools, call one, leave.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::board::{Board, Lane, Mark, Tick, ToolCall};
use super::steps::Steps;
use crate::catalog::resource::Resource;
use crate::health;
use crate::probe::{self, Conversation, Failure, ToolResult, Transport};
use crate::proxy::synthetic::Synthetic;
use crate::proxy::worker::Worker;
use crate::through_proxy::{ThroughProxy, Who};

/// How long one resource may take, whatever it does.
const PATIENCE: Duration = Duration::from_secs(90);

const OPEN: usize = 0;
const LIST: usize = 1;
const CALL: usize = 2;

/// What will be tried of a resource.
pub(super) fn planned(resource: &Resource, call: Option<&ToolCall>) -> Lane {
    let ticks = if !resource.active {
        let said = "it is switched off: attendees get 404 deployment_off. Switch it on \
                    before the event";
        vec![Tick::found("Switched on", Mark::Warning, said)]
    } else if !resource.kind.is_probed() {
        let said = "resources of this type are not served yet, so there is nothing to try";
        vec![Tick::found("Open", Mark::Skipped, said)]
    } else {
        let call = call.map(|call| Tick::waiting(format!("Call {}", call.name)));
        let steps = [Tick::waiting("Open"), Tick::waiting("List the tools")];
        steps.into_iter().chain(call).chain([Tick::waiting("Leave")]).collect()
    };
    Lane {
        resource_id: resource.id.clone(),
        deployment: resource.deployment.to_string(),
        kind: resource.kind,
        ticks,
        call: call.cloned(),
        tools: Vec::new(),
    }
}

/// Tries it, writing each step on the board's lane `n`.
pub(super) async fn run(
    board: Board,
    n: usize,
    worker: Arc<Worker>,
    who: Arc<Synthetic>,
    resource: Arc<Resource>,
    call: Option<ToolCall>,
) {
    if !resource.active || !resource.kind.is_probed() {
        return;
    }
    let steps = Steps::new(board, n);
    let plane = worker.plane.clone();
    let conversation = async {
        match ThroughProxy::new(worker, Who::Synthetic(who), &resource) {
            Ok(transport) => {
                if let Some(id) = converse(&steps, &transport, call).await {
                    health::note_constant(&plane.control.db, &resource.id, &id).await;
                }
            }
            Err(failure) => {
                steps.end(OPEN, None, Err(failure.to_string()));
                steps.skip_rest();
            }
        }
    };
    if tokio::time::timeout(PATIENCE, conversation).await.is_err() {
        steps.give_up(PATIENCE);
    }
}

/// Takes the steps; the id of the session that the server gives to everybody, if it does.
async fn converse(
    steps: &Steps,
    transport: &ThroughProxy,
    call: Option<ToolCall>,
) -> Option<HeaderValue> {
    let has_call = call.is_some();
    let conversation = match steps.time(OPEN, Conversation::open(transport)).await {
        (Ok((conversation, report)), took) => {
            let server = &report.server;
            let said =
                format!("{} {}, MCP {}", server.name, server.version, report.protocol_version);
            steps.end(OPEN, Some(took), Ok(said.trim_start().to_owned()));
            conversation
        }
        (Err(failure), took) => {
            let reason = explain(transport, failure).await;
            steps.end(OPEN, Some(took), Err(reason));
            steps.skip_rest();
            return None;
        }
    };

    let tools = match steps.time(LIST, conversation.tools()).await {
        (Ok(tools), took) => {
            steps.end(LIST, Some(took), Ok(said_of(&tools)));
            steps.list(&tools);
            Some(tools)
        }
        (Err(failure), took) => {
            steps.end(LIST, Some(took), Err(explain(transport, failure).await));
            None
        }
    };
    if let (Some(call), Some(tools)) = (call, tools) {
        if tools.contains(&call.name) {
            let (called, took) =
                steps.time(CALL, conversation.call(&call.name, call.arguments)).await;
            let outcome = match called {
                Ok(ToolResult { is_error: false, text }) => Ok(answered(&text)),
                Ok(ToolResult { text, .. }) => Err(format!("the tool says that it failed: {text}")),
                Err(failure) => Err(explain(transport, failure).await),
            };
            steps.end(CALL, Some(took), outcome);
        } else {
            let reason = format!("the server has no tool named {}", call.name);
            steps.end(CALL, None, Err(reason));
        }
    }

    let at = if has_call { CALL + 1 } else { CALL };
    let leaving = async {
        match conversation.constant().await {
            Some(id) => (Some(id), Ok(None)),
            None => (None, conversation.leave().await),
        }
    };
    let ((constant, left), took) = steps.time(at, leaving).await;
    match left {
        Ok(None) if constant.is_some() => {
            let said = "this server gives everybody one session, so it is not ended";
            steps.end(at, Some(took), Ok(said.to_owned()));
        }
        Ok(None) => steps.end(at, None, Ok("the server keeps no session".to_owned())),
        Ok(Some(status)) if status.is_success() => {
            steps.end(at, Some(took), Ok("its session is ended".to_owned()));
        }
        Ok(Some(StatusCode::METHOD_NOT_ALLOWED)) => {
            let said = "the server ends sessions by itself (405)".to_owned();
            steps.end(at, Some(took), Ok(said));
        }
        Ok(Some(status)) => {
            let said = format!("{} from backend when its session was to end", status.as_u16());
            steps.warn(at, took, said);
        }
        Err(failure) => steps.warn(at, took, failure.to_string()),
    }
    constant
}

fn said_of(tools: &[String]) -> String {
    match tools.len() {
        0 => "it has no tools".to_owned(),
        1 => "1 tool".to_owned(),
        n => format!("{n} tools"),
    }
}

fn answered(text: &str) -> String {
    if text.is_empty() {
        "it answered without text".to_owned()
    } else {
        format!("\u{201c}{text}\u{201d}")
    }
}

/// The exact reason. Attendees are not told what stands behind the proxy; the
/// organiser is, for which the server is asked once more, straight.
async fn explain(transport: &ThroughProxy, failure: Failure) -> String {
    if !matches!(failure, Failure::Proxy { .. }) && !failure.may_be_the_path() {
        return failure.to_string();
    }
    match (probe::check(transport.target()).await, failure) {
        (Ok(_), failure) => format!("{failure}; asked without the proxy, the server works"),
        (Err(reason), Failure::Proxy { status, code }) => {
            format!("{reason} (attendees get {} {code})", status.as_u16())
        }
        // That came to no answer; what it would have looked for may still be found.
        (Err(reason), failure) if reason.may_pass() => {
            probe::elsewhere(transport.target(), failure).await.to_string()
        }
        (
            Err(
                reason @ (Failure::WrongPath { .. } | Failure::Unsettled { .. } | Failure::SseOnly),
            ),
            _,
        ) => reason.to_string(),
        (Err(_), failure) => failure.to_string(),
    }
}
