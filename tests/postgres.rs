//! The PostgreSQL server that `tests/postgres.sh` starts, and databases on it. A suite
//! that needs one fails where there is none: it is a target of its own, which plain
//! `cargo test` leaves out.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

/// The URL by which the superuser of the server connects.
#[expect(clippy::disallowed_methods, reason = "it is no setting of the proxy")]
fn server() -> Url {
    let url = std::env::var("AI_PROXY_TEST_POSTGRES").expect(concat!(
        "there is no PostgreSQL to test on: run `make test-rust`, or `tests/postgres.sh cargo test --test ",
        env!("CARGO_CRATE_NAME"),
        "`; the variable is not set"
    ));
    Url::parse(&url).expect("AI_PROXY_TEST_POSTGRES is a URL")
}

/// Creates an empty database; its URL.
pub async fn create(name: &str) -> Url {
    execute(&format!("create database {name}")).await;
    let mut url = server();
    url.set_path(name);
    url
}

/// Has the server execute a statement, outside any test's database.
pub async fn execute(statement: &str) {
    let mut connection = PgConnection::connect(server().as_str()).await.expect("a server");
    let sql = AssertSqlSafe(statement.to_owned());
    sqlx::raw_sql(sql).execute(&mut connection).await.expect(statement);
    connection.close().await.expect("a clean end");
}
