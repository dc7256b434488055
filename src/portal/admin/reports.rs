//! What an owner's events came to, one line each; an administrator sees those
//! of all owners.

mod sort;

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use self::sort::{Column, Sort};
use crate::catalog::usage::breakdown::Sum;
use crate::catalog::usage::overview::{Overview, overview};
use crate::clock::{date, rfc3339};
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;
use crate::portal::{Site, download};
use crate::spreadsheet;

/// Events on the page; the file holds all.
const ROWS: usize = 60;

#[derive(Template)]
#[template(path = "admin/reports.html")]
struct Reports {
    frame: Frame,
    me: String,
    asked: Asked,
    events: Vec<Overview>,
    /// How many there are, of which only some are shown.
    found: usize,
    /// Of all that were found.
    total: Total,
}

#[derive(Default)]
struct Total {
    registered: u64,
    connected: u64,
    sum: Sum,
}

#[derive(Default, Deserialize)]
pub struct Asked {
    /// What the event's name or id, or its owner's name, is to contain.
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: Sort,
}

impl Asked {
    fn query(&self, sort: Sort) -> String {
        let mut query = Serializer::new(String::new());
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        query.append_pair("sort", &sort.to_string()).finish()
    }

    /// The same search, ordered by a column: the other way round if it is already.
    fn by(&self, column: Column) -> String {
        self.query(self.sort.pressed(column))
    }

    async fn answer(&self, site: &Site, me: &SignedIn) -> Result<Vec<Overview>, PageError> {
        let whose = (!me.is_administrator()).then_some(me.owner.id.as_str());
        let mut events = overview(&site.db, whose).await?;
        let wanted = self.q.trim().to_lowercase();
        let is_found = |event: &Overview| {
            [&event.name, &event.id, &event.owner]
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
        };
        events.retain(is_found);
        self.sort.apply(&mut events);
        Ok(events)
    }
}

pub async fn show(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    let mut events = asked.answer(&site, &me).await?;
    let (found, total) = (events.len(), total(&events));
    events.truncate(ROWS);
    let frame = me.frame(Section::Reports);
    page::ok(&Reports { frame, me: me.owner.id, asked, events, found, total })
}

fn total(events: &[Overview]) -> Total {
    events.iter().fold(Total::default(), |total, event| Total {
        registered: total.registered + event.registered,
        connected: total.connected + event.connected,
        sum: Sum {
            requests: total.sum.requests + event.sum.requests,
            errors: total.sum.errors + event.sum.errors,
            prompt_tokens: total.sum.prompt_tokens + event.sum.prompt_tokens,
            completion_tokens: total.sum.completion_tokens + event.sum.completion_tokens,
        },
    })
}

pub async fn file(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    let headings = [
        "event",
        "id",
        "owner",
        "start (UTC)",
        "start",
        "end",
        "time zone",
        "attendees",
        "connected",
        "requests",
        "errors",
        "tokens in",
        "tokens out",
    ];
    let events = asked.answer(&site, &me).await?;
    let rows = events.into_iter().map(|event| {
        let Sum { requests, errors, prompt_tokens, completion_tokens } = event.sum;
        let counts = [event.registered, event.connected, requests, errors];
        let [registered, connected, requests, errors] = counts.map(|count| count.to_string());
        [
            event.name,
            event.id,
            event.owner,
            rfc3339(event.starts_at),
            event.start_local,
            event.end_local,
            event.time_zone,
            registered,
            connected,
            requests,
            errors,
            prompt_tokens.to_string(),
            completion_tokens.to_string(),
        ]
    });
    let day = date(site.clock.now_ms());
    Ok(download::csv(&format!("events-{day}.csv"), spreadsheet::csv(headings, rows)))
}
