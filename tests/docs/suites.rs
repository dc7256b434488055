//! The suites of the Rust tests: each is run by `make test-rust`, and plain `cargo test`
//! leaves out those that need PostgreSQL.

use toml::{Table, Value};

use crate::pages::read;

/// The names of the test targets that `is_wanted` picks.
fn suites(is_wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let manifest: Table = read("Cargo.toml").parse().unwrap();
    let targets = manifest["test"].as_array().unwrap().iter().filter(|target| is_wanted(target));
    targets.map(|target| target["name"].as_str().unwrap().to_owned()).collect()
}

/// The words that the Makefile gives a variable.
fn words(variable: &str) -> Vec<String> {
    let makefile = read("Makefile");
    let line = makefile.lines().find(|line| line.split(' ').next() == Some(variable));
    let (_, value) = line.unwrap().split_once(":=").unwrap();
    value.split_whitespace().map(str::to_owned).collect()
}

fn is_left_out(target: &Value) -> bool {
    target.get("test").and_then(Value::as_bool) == Some(false)
}

// Its name is what `cargo test` says of the suites that it does not run.
#[test]
fn it_postgres_and_portal_postgres_and_store_postgres_need_make_test() {
    let left_out = suites(is_left_out);
    assert_eq!(left_out, ["it_postgres", "portal_postgres", "store_postgres"]);
    assert_eq!(words("POSTGRES"), left_out);
}

#[test]
fn make_test_runs_every_suite() {
    let mut run = [words("SUITES"), words("POSTGRES")].concat();
    // All of it is in `it_postgres`.
    run.push("it".into());
    // A step of its own, because the proxy is built with other atomics for it.
    let steps = read("Makefile");
    assert!(steps.contains("\ntest: test-rust interleavings "));
    run.push("interleavings".into());
    run.sort();
    let mut all = suites(|_| true);
    all.sort();
    assert_eq!(run, all);
}
