//! The last check of a resource, as a cell of the list shows it.

use crate::catalog::resource::Resource;
use crate::clock::rfc3339;
use crate::health::{Checked, Verdict};

pub struct Cell {
    /// The class of the badge.
    pub class: &'static str,
    pub badge: &'static str,
    pub text: String,
    /// When it was checked, RFC 3339, and how long ago that is; empty where it never was.
    pub at: String,
    pub ago: String,
}

impl Cell {
    pub fn of(resource: &Resource, checked: Option<Checked>, now: i64) -> Self {
        let (class, badge, text) = match &checked {
            _ if !resource.kind.is_probed() => {
                ("", "not checked", "only MCP servers are".to_owned())
            }
            None if !resource.active => ("", "not checked", "switched off".to_owned()),
            None => ("", "not checked", "checked once an event needs it".to_owned()),
            Some(Checked { verdict: Verdict::Works { tools, latency_ms }, .. }) => {
                let noun = if *tools == 1 { "tool" } else { "tools" };
                ("good", "works", format!("{tools} {noun}, {latency_ms} ms"))
            }
            Some(Checked { verdict: Verdict::Fails(reason), .. }) => {
                ("bad", "fails", reason.clone())
            }
        };
        let at = checked.map(|checked| checked.at);
        Self {
            class,
            badge,
            text,
            at: at.map(rfc3339).unwrap_or_default(),
            ago: at.map(|at| ago(now - at)).unwrap_or_default(),
        }
    }
}

/// A length of time that has passed, in milliseconds, as people say it.
fn ago(ms: i64) -> String {
    match ms / 60_000 {
        ..1 => "just now".to_owned(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes => format!("{} h ago", minutes / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn time_that_has_passed_is_said_shortly() {
        for (ms, text) in [
            (-5, "just now"),
            (59_999, "just now"),
            (60_000, "1 min ago"),
            (3_599_999, "59 min ago"),
            (3_600_000, "1 h ago"),
        ] {
            assert_eq!(ago(ms), text);
        }
    }
}
