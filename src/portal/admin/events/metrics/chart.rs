//! Charts as SVG: shapes only, stretched to the width that there is; what is
//! written beside them is HTML.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::view::{By, View};
use crate::catalog::usage::series::{Point, Span};
use crate::clock::MINUTE_MS;

/// How high a chart is in its own units.
pub const HEIGHT: u64 = 100;

/// Minutes that a chart by minute shows at least.
const FEWEST_MINUTES: i64 = 60;

pub struct Chart {
    pub id: &'static str,
    pub title: &'static str,
    /// What it shows, in words.
    pub description: String,
    /// What its upper edge stands for.
    pub top: u64,
    /// Steps from its left to its right edge.
    pub width: usize,
    pub shapes: Vec<Shape>,
    /// Below it: where it begins, the middle, where its last step begins.
    pub axis: Vec<String>,
}

/// One of the figures, as an area.
pub struct Shape {
    pub name: &'static str,
    pub path: String,
}

/// A figure of each step.
type Values = Vec<u64>;

/// Nothing where nobody called.
pub fn of(view: &View, points: &[Point]) -> Vec<Chart> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let mut part = Span { from: first.span.from, to: last.span.to };
    if view.by == By::Minute {
        part.from = part.from.min(part.to - FEWEST_MINUTES * MINUTE_MS).max(view.span.from);
    }
    let steps = view.between(part);
    let by_start: HashMap<i64, &Point> =
        points.iter().map(|point| (point.span.from, point)).collect();
    let values = |figure: fn(&Point) -> u64| -> Values {
        steps.iter().map(|step| by_start.get(&step.from).map_or(0, |point| figure(point))).collect()
    };
    let (requests, errors) = (values(|point| point.requests), values(|point| point.errors));
    let active = values(|point| point.active);
    let failed: u64 = errors.iter().sum();
    let calls = format!("{}; {failed} errors in all.", peak(view, &steps, &requests));
    let people = format!("{}.", peak(view, &steps, &active));
    let axis = [0, steps.len() / 2, steps.len() - 1].map(|at| view.label(steps[at].from));
    let series = vec![("requests", requests), ("errors", errors)];
    vec![
        chart("requests", "Requests", calls, &series, &axis),
        chart("active", "Active attendees", people, &[("active", active)], &axis),
    ]
}

fn chart(
    id: &'static str,
    title: &'static str,
    description: String,
    series: &[(&'static str, Values)],
    axis: &[String],
) -> Chart {
    let top = round(series.iter().flat_map(|(_, values)| values).copied().max().unwrap_or(0));
    let width = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let shapes = series.iter().map(|(name, values)| Shape { name, path: area(values, top) });
    Chart { id, title, description, top, width, shapes: shapes.collect(), axis: axis.to_vec() }
}

/// The greatest value and when it was, the first time.
fn peak(view: &View, steps: &[Span], values: &[u64]) -> String {
    let greatest = values.iter().copied().max().unwrap_or(0);
    let at = values.iter().position(|value| *value == greatest).unwrap_or(0);
    let when = steps.get(at).map(|step| view.label(step.from)).unwrap_or_default();
    format!("At most {greatest} in one {}, at {when}", view.by.word())
}

/// The next of 1, 2, 5, 10, 20, 50 …
fn round(greatest: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 5] {
            let top = unit.saturating_mul(step);
            if top >= greatest {
                return top;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// The outline of steps; what is more than nothing is at least one unit high.
fn area(values: &[u64], top: u64) -> String {
    let mut path = format!("M0 {HEIGHT}");
    let height = |value: u64| (u128::from(value) * u128::from(HEIGHT)).div_ceil(u128::from(top));
    for run in values.chunk_by(|a, b| height(*a) == height(*b)) {
        let y = u128::from(HEIGHT) - height(run[0]);
        let _ = write!(path, "V{y}h{}", run.len());
    }
    let _ = write!(path, "V{HEIGHT}z");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_steps_from_value_to_value() {
        assert_eq!(area(&[0, 0, 5, 10, 1], 10), "M0 100V100h2V50h1V0h1V90h1V100z");
        assert_eq!(area(&[1], 1_000), "M0 100V99h1V100z", "little is not nothing");
    }

    #[test]
    fn the_upper_edge_is_a_round_number() {
        let tops = [0, 1, 3, 6, 10, 11, 51].map(round);
        assert_eq!(tops, [1, 1, 5, 10, 10, 20, 100]);
    }
}
