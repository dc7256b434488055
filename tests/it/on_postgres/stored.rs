//! A store of an earlier release on PostgreSQL.

use super::database::Database;
use crate::harness::stored::Stored;
use crate::stored::is_taken_over;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_postgres_is_taken_over() {
    let (itself, another) = (Database::create().await, Database::create().await);
    is_taken_over(Stored::new("postgres", Some([itself.url(), another.url()]))).await;
}
