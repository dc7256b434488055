//! The routes of the portal as a list that a reviewer reads, and from which the browser
//! tests know that they leave no page out.

use ai_proxy::portal;

#[test]
fn the_routes_are_those_that_are_listed() {
    let mut routes: Vec<_> =
        portal::routes().iter().map(|(method, path)| format!("{path} {method}")).collect();
    routes.sort();
    // Of the same name in both suites that hold this test.
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("portal__routes", routes.join("\n"));
    });
}
