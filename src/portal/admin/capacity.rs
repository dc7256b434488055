//! How much a room full of people needs: a calculator that keeps nothing, so
//! that its address says it all.

mod plan;

use std::ops::RangeInclusive;

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use self::plan::{LARGEST_CAP, Load, Plan};
use crate::portal::Site;
use crate::portal::filters::{self, in_groups};
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

/// What is in the form, as it was typed.
#[derive(Deserialize)]
#[serde(default)]
pub struct Asked {
    attendees: String,
    prompts: String,
    tokens: String,
    requests: String,
    hours: String,
}

impl Default for Asked {
    fn default() -> Self {
        let [attendees, prompts, tokens, requests, hours] =
            ["50", "2", "1500", "1", "6"].map(str::to_owned);
        Self { attendees, prompts, tokens, requests, hours }
    }
}

#[derive(Template)]
#[template(path = "admin/capacity.html")]
struct Capacity {
    frame: Frame,
    asked: Asked,
    problems: Problems,
    plan: Option<Plan>,
    max_connections: u64,
}

pub async fn show(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    let mut problems = Problems::none();
    let plan = load(&asked, &mut problems).map(Load::plan);
    let is_plan = plan.is_some();
    let max_connections = u64::try_from(site.config.max_connections).unwrap_or(u64::MAX);
    let frame = me.frame(Section::Events);
    let page = Capacity { frame, asked, problems, plan, max_connections };
    if is_plan { page::ok(&page) } else { page::unprocessable(&page) }
}

/// What was typed, where all of it is a number in its range.
fn load(asked: &Asked, problems: &mut Problems) -> Option<Load> {
    let mut whole = |field, text: &str, range: RangeInclusive<u32>| {
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = (range.start(), in_groups(range.end()));
            problems.add(field, format!("must be a whole number from {from} to {to}"));
        }
        number
    };
    let attendees = whole("attendees", &asked.attendees, 1..=100_000);
    let tokens = whole("tokens", &asked.tokens, 1..=1_000_000);
    let requests = whole("requests", &asked.requests, 1..=1000);
    let hours = whole("hours", &asked.hours, 1..=24);
    let prompts = hundredths(&asked.prompts).filter(|prompts| (10..=10_000).contains(prompts));
    if prompts.is_none() {
        problems.add("prompts", "must be a number from 0.1 to 100, with two decimals at most");
    }
    Some(Load {
        attendees: attendees?,
        prompts: prompts?,
        tokens: tokens?,
        requests: requests?,
        hours: hours?,
    })
}

/// A decimal number of two decimals at most, however its point is written.
fn hundredths(text: &str) -> Option<u32> {
    let text = text.trim().replace(',', ".");
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 2 || text.is_empty() {
        return None;
    }
    format!("{whole}{decimals:0<2}").parse().ok()
}

/// A number of tenths, with its point.
fn tenths(number: u64) -> String {
    format!("{}.{}", in_groups(number / 10), number % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_shown() {
        for (text, number) in [("2", 200), ("0.5", 50), (" 1,25 ", 125), (".5", 50), ("007", 700)] {
            assert_eq!(hundredths(text), Some(number), "{text}");
        }
        for bad in ["", "two", "1.234", "-1", "+1", "1e3", "1.2.3", "99999999999"] {
            assert_eq!(hundredths(bad), None, "{bad}");
        }
        assert_eq!(tenths(12_345), "1,234.5");
    }
}
