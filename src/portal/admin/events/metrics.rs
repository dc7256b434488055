//! What came of an event: its figures over time, by resource, by operation and
//! by attendee, each as a table, as a file, and the first as charts.

mod chart;
mod files;
mod view;

use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use self::chart::Chart;
use self::view::{By, View};
use super::room::{Figure, figures};
use super::{Tab, Tabs};
use crate::catalog::event::{self, Event};
use crate::catalog::usage::Latency;
use crate::catalog::usage::breakdown::{self, ByAttendee, ByOperation, ByResource};
use crate::catalog::usage::series::{self, Point};
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

pub use files::download;

/// Rows of each table on the page; files hold all.
const MOMENTS: usize = 48;
const RESOURCES: u32 = 30;
const OPERATIONS: u32 = 30;
const ATTENDEES: u32 = 20;

#[derive(Template)]
#[template(path = "admin/events/metrics.html")]
struct Metrics {
    frame: Frame,
    tabs: Tabs,
    event: Event,
    view: View,
    figures: Vec<Figure>,
    charts: Vec<Chart>,
    /// The newest first.
    points: Vec<Point>,
    /// How many there are, of which only some are shown.
    moments: usize,
    resources: Vec<ByResource>,
    operations: Vec<ByOperation>,
    attendees: Vec<ByAttendee>,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    by: By,
}

pub async fn show(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let now = site.clock.now_ms();
    let view = view(&site, &event, asked.by, now).await?;
    let mut points = points(&site, &event, &view).await?;
    let charts = chart::of(&view, &points);
    let moments = points.len();
    points.reverse();
    points.truncate(MOMENTS);
    page::ok(&Metrics {
        frame: me.frame(Section::Events),
        tabs: Tabs::of(&event, Tab::Metrics, site.clock.now_ms()),
        figures: figures(&site, &event, now).await?,
        charts,
        points,
        moments,
        resources: breakdown::by_resource(&site.db, &event, view.span, RESOURCES).await?,
        operations: breakdown::by_operation(&site.db, &event, view.span, OPERATIONS).await?,
        attendees: breakdown::by_attendee(&site.db, &event, view.span, ATTENDEES).await?,
        event,
        view,
    })
}

async fn view(site: &Site, event: &Event, by: By, now: i64) -> Result<View, PageError> {
    let extent = series::extent(&site.db, event).await?;
    View::of(by, &event.time_zone, extent, now).map_err(PageError::internal)
}

async fn points(site: &Site, event: &Event, view: &View) -> Result<Vec<Point>, PageError> {
    Ok(match view.by {
        By::Minute => series::by_minute(&site.db, event, view.span).await?,
        By::Hour | By::Day => series::over(&site.db, event, &view.spans()).await?,
    })
}

/// Where a resource is gone, what stands for its name.
fn deployment(name: Option<&str>) -> &str {
    name.unwrap_or("(deleted)")
}

/// A percentile in the unit that says enough.
fn time(latency: &Latency, percent: u8) -> String {
    match latency.percentile(percent) {
        None => "–".to_owned(),
        Some(ms) if ms < 1_000 => format!("{ms} ms"),
        Some(ms) => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}
