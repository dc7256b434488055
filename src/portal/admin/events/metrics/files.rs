//! The tables of the page as CSV, whole.

use axum::extract::{Path, Query, State};

use super::{Asked, deployment, points, view};
use crate::catalog::event::{self, Event};
use crate::catalog::usage::Latency;
use crate::catalog::usage::breakdown::{self, Sum};
use crate::catalog::usage::series::Span;
use crate::clock::rfc3339;
use crate::db::Db;
use crate::portal::error::PageError;
use crate::portal::page::Answer;
use crate::portal::visitor::SignedIn;
use crate::portal::{Site, download as file};
use crate::spreadsheet;

/// Most rows of a file.
const ROWS: u32 = 10_000;

pub async fn download(
    State(site): State<Site>,
    me: SignedIn,
    Path((id, table)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let view = view(&site, &event, asked.by, site.clock.now_ms()).await?;
    let csv = match &*table {
        "over-time.csv" => {
            let points = points(&site, &event, &view).await?;
            let headings = ["start (UTC)", &event.time_zone, "requests", "errors", "active"];
            let rows = points.iter().map(|point| {
                let from = point.span.from;
                let counts = [point.requests, point.errors, point.active];
                let [requests, errors, active] = counts.map(|count| count.to_string());
                [rfc3339(from), view.label(from), requests, errors, active]
            });
            spreadsheet::csv(headings, rows)
        }
        "resources.csv" => resources(&site.db, &event, view.span).await?,
        "operations.csv" => operations(&site.db, &event, view.span).await?,
        "attendees.csv" => attendees(&site.db, &event, view.span).await?,
        _ => return Err(PageError::NotFound),
    };
    Ok(file::csv(&format!("{}-{}-{table}", event.id, view.days()), csv))
}

async fn resources(db: &Db, event: &Event, span: Span) -> Result<String, PageError> {
    let headings =
        ["resource", "requests", "errors", "p50 (ms)", "p95 (ms)", "tokens in", "tokens out"];
    let all = breakdown::by_resource(db, event, span, ROWS).await?;
    let rows = all.iter().map(|line| {
        let [requests, errors, tokens_in, tokens_out] = counts(line.sum);
        let [p50, p95] = times(&line.latency);
        let resource = deployment(line.deployment.as_deref()).to_owned();
        [resource, requests, errors, p50, p95, tokens_in, tokens_out]
    });
    Ok(spreadsheet::csv(headings, rows))
}

async fn operations(db: &Db, event: &Event, span: Span) -> Result<String, PageError> {
    let headings = [
        "resource",
        "operation",
        "tool or prompt",
        "requests",
        "errors",
        "p50 (ms)",
        "p95 (ms)",
        "tokens in",
        "tokens out",
    ];
    let all = breakdown::by_operation(db, event, span, ROWS).await?;
    let rows = all.into_iter().map(|line| {
        let [requests, errors, tokens_in, tokens_out] = counts(line.sum);
        let [p50, p95] = times(&line.latency);
        let resource = deployment(line.deployment.as_deref()).to_owned();
        let (operation, name) = (line.operation, line.name);
        [resource, operation, name, requests, errors, p50, p95, tokens_in, tokens_out]
    });
    Ok(spreadsheet::csv(headings, rows))
}

async fn attendees(db: &Db, event: &Event, span: Span) -> Result<String, PageError> {
    let headings = ["attendee", "name", "requests", "errors", "tokens in", "tokens out"];
    let all = breakdown::by_attendee(db, event, span, ROWS).await?;
    let rows = all.into_iter().map(|line| {
        let [requests, errors, tokens_in, tokens_out] = counts(line.sum);
        let (user_id, name) = match line.who {
            Some(who) => (who.user_id, who.display_name),
            None => ("(not known)".to_owned(), String::new()),
        };
        [user_id, name, requests, errors, tokens_in, tokens_out]
    });
    Ok(spreadsheet::csv(headings, rows))
}

fn counts(sum: Sum) -> [String; 4] {
    [sum.requests, sum.errors, sum.prompt_tokens, sum.completion_tokens]
        .map(|count| count.to_string())
}

fn times(latency: &Latency) -> [String; 2] {
    [50, 95].map(|percent| latency.percentile(percent).map(|ms| ms.to_string()).unwrap_or_default())
}
