//! The pre-flight of an event: a button, and the board of what came of it.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Tab, Tabs};
use crate::catalog::event::{self, Event, control};
use crate::clock;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::Form;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;
use crate::preflight::{Lane, Mark, Run, ToolCall};

/// The longest arguments taken, in bytes.
const MAX_ARGUMENTS: usize = 32 * 1024;

/// The longest name of a tool, in characters.
const MAX_TOOL: usize = 128;

#[derive(Template)]
#[template(path = "admin/events/preflight.html")]
struct Preflight {
    frame: Frame,
    tabs: Tabs,
    time_zone: String,
    run: Option<Run>,
    tries: Vec<Try>,
}

/// The tool of one resource that may be called, as it was typed.
#[derive(Default)]
struct Try {
    resource_id: String,
    deployment: String,
    tool: String,
    arguments: String,
    /// To choose from: what the last run has listed.
    tools: Vec<String>,
    tool_problem: String,
    arguments_problem: String,
}

impl Try {
    fn is_wrong(&self) -> bool {
        !self.tool_problem.is_empty() || !self.arguments_problem.is_empty()
    }
}

impl Preflight {
    fn problems(&self) -> usize {
        self.tries.iter().filter(|one| one.is_wrong()).count()
    }

    fn at(&self, ms: &i64) -> String {
        clock::wall_clock(*ms, &self.time_zone)
    }
}

pub async fn show(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let run = site.preflights.last(&event.owner_id, &event.id);
    let tries = tries(&event, run.as_ref());
    page::ok(&preflight(&site, &me, &event, run, tries))
}

fn preflight(
    site: &Site,
    me: &SignedIn,
    event: &Event,
    run: Option<Run>,
    tries: Vec<Try>,
) -> Preflight {
    let tabs = Tabs::of(event, Tab::PreFlight, site.clock.now_ms());
    let frame = me.frame(Section::Events);
    Preflight { frame, tabs, time_zone: event.time_zone.clone(), run, tries }
}

/// What can be tried, filled in as in the last run.
fn tries(event: &Event, last: Option<&Run>) -> Vec<Try> {
    let can_call =
        event.resources.iter().filter(|resource| resource.active && resource.kind.is_probed());
    can_call
        .map(|resource| {
            let lanes = last.map(|run| run.lanes.as_slice()).unwrap_or_default();
            let lane = lanes.iter().find(|lane| lane.resource_id == resource.id);
            let call = lane.and_then(|lane| lane.call.as_ref());
            Try {
                resource_id: resource.id.clone(),
                deployment: resource.deployment.to_string(),
                tool: call.map(|call| call.name.clone()).unwrap_or_default(),
                arguments: call.map(|call| print(&call.arguments)).unwrap_or_default(),
                tools: lane.map(|lane| lane.tools.clone()).unwrap_or_default(),
                ..Try::default()
            }
        })
        .collect()
}

fn print(arguments: &Map<String, Value>) -> String {
    if arguments.is_empty() {
        return String::new();
    }
    serde_json::to_string_pretty(arguments).unwrap_or_default()
}

/// One of each for every resource, in one order.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    resource: Vec<String>,
    #[serde(default)]
    tool: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
}

pub async fn start(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(typed): Form<Typed>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let run = site.preflights.last(&event.owner_id, &event.id);
    let mut tries = tries(&event, run.as_ref());
    let calls = take(&mut tries, typed)?;
    if tries.iter().any(Try::is_wrong) {
        return page::unprocessable(&preflight(&site, &me, &event, run, tries));
    }
    let names: Vec<_> = tries
        .iter()
        .filter(|one| !one.tool.is_empty())
        .map(|one| format!("{} of {}", one.tool, one.deployment))
        .collect();
    let detail = match names.as_slice() {
        [] => event.name.clone(),
        names => format!("{}, calling {}", event.name, names.join(", ")),
    };
    let path = format!("/admin/events/{}/preflight", event.id);
    let flash = match site.preflights.start(&site.plane, event, calls).await {
        Ok(()) => {
            control::note_preflight(&site.db, &me.actor(), &id, &detail).await?;
            "The pre-flight is running.".to_owned()
        }
        Err(busy) => format!("Nothing was started: {busy}."),
    };
    me.done(&site, &path, Flash::done(flash)).await
}

/// Takes what was typed, and notes what is wrong with it.
fn take(tries: &mut [Try], typed: Typed) -> Result<HashMap<String, ToolCall>, PageError> {
    let Typed { resource, tool, arguments } = typed;
    if resource.len() != tool.len() || resource.len() != arguments.len() {
        return Err(PageError::BadForm);
    }
    let mut by_id: HashMap<String, &mut Try> =
        tries.iter_mut().map(|one| (one.resource_id.clone(), one)).collect();
    let mut calls = HashMap::new();
    for ((resource, tool), arguments) in resource.into_iter().zip(tool).zip(arguments) {
        // One that was unlinked or switched off meanwhile is not tried.
        let Some(one) = by_id.get_mut(&resource) else { continue };
        one.tool = tool.trim().to_owned();
        one.arguments = arguments;
        let given = one.arguments.trim();
        if one.tool.chars().count() > MAX_TOOL {
            one.tool_problem = format!("has more than {MAX_TOOL} characters");
        } else if one.tool.is_empty() && !given.is_empty() {
            one.tool_problem = "is needed where there are arguments".to_owned();
        }
        match object(given) {
            Ok(_) if one.tool.is_empty() => {}
            Ok(arguments) => {
                _ = calls.insert(resource, ToolCall { name: one.tool.clone(), arguments })
            }
            Err(problem) => one.arguments_problem = problem,
        }
    }
    Ok(calls)
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    if text.len() > MAX_ARGUMENTS {
        return Err(format!("are longer than {MAX_ARGUMENTS} bytes"));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err("must be one JSON object, as {\"message\": \"hello\"}".to_owned()),
        Err(error) => {
            Err(format!("are not JSON: line {}, column {}", error.line(), error.column()))
        }
    }
}

/// The style of a step's badge.
fn style(mark: &Mark) -> &'static str {
    match mark {
        Mark::Good => "badge good",
        Mark::Warning => "badge warn",
        Mark::Bad => "badge bad",
        Mark::Waiting | Mark::Running | Mark::Skipped => "badge",
    }
}

/// What a lane is headed by.
fn kind(lane: &Lane) -> &'static str {
    lane.kind.as_str()
}
