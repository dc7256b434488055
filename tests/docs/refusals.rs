//! The table of refusals and the one place that makes them.

use std::collections::BTreeSet;

use crate::pages::{quoted, read, rows};

/// The codes in `ProxyError::code`, read off its source: an enum with values in
/// it cannot be listed.
fn made() -> BTreeSet<String> {
    let source = read("src/proxy/error.rs");
    let (_, body) = source.split_once("pub fn code(&self)").expect("the function exists");
    let body = body.split("\n    }\n").next().unwrap();
    body.split('"').skip(1).step_by(2).map(str::to_owned).collect()
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
