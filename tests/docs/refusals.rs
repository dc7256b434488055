//! The table of refusals and the one place that makes them.

use std::collections::BTreeSet;

use ai_proxy::proxy::error::table::CODES;

use crate::pages::{quoted, read, rows};

/// The codes of the table.
fn made() -> BTreeSet<String> {
    CODES.iter().map(|code| (*code).to_owned()).collect()
}

#[test]
fn every_refusal_is_described_and_no_other() {
    let table = rows(&read("docs/http-api.md"), "Refusals");
    let described: BTreeSet<String> =
        table.iter().skip(1).map(|row| quoted(&row[1])[0].into()).collect();
    assert_eq!(described, made());
}

#[test]
fn troubleshooting_speaks_of_refusals_that_exist() {
    let codes = made();
    for row in rows(&read("docs/mcp-servers.md"), "When it does not work").iter().skip(1) {
        for code in quoted(&row[2]) {
            assert!(codes.contains(code), "{code}");
            assert_eq!(quoted(&row[1]), ["proxy"], "{code}");
        }
    }
}
