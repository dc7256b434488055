//! The table of URLs, and the code that joins them.

use ai_proxy::catalog::resource::Endpoint;
use ai_proxy::proxy::endpoint_path::{check, join};

use crate::pages::{quoted, read, rows};

#[test]
fn every_row_is_what_the_server_gets() {
    let table = rows(&read("docs/http-api.md"), "MCP");
    assert!(table.len() > 1);
    for row in &table[1..] {
        let endpoint = Endpoint::parse(quoted(&row[0])[0]).unwrap();
        let nothing = row[1].starts_with("nothing").then_some("");
        for sent in quoted(&row[1]).into_iter().chain(nothing) {
            let (rest, query) = sent.split_once('?').map_or((sent, None), |(r, q)| (r, Some(q)));
            assert!(check(rest).is_ok(), "{sent}");
            let joined = join(&endpoint.path, endpoint.query.as_deref(), rest, query);
            assert_eq!(joined, quoted(&row[2])[0], "{row:?}");
        }
    }
}
