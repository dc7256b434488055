//! How connections to PostgreSQL are set up.

use crate::harness::{Store, on_both};

on_both![connections_see_what_was_committed_and_let_go_of_locks];

async fn connections_see_what_was_committed_and_let_go_of_locks(store: Store) {
    for (setting, expected) in [
        ("show transaction_isolation", "read committed"),
        ("show idle_in_transaction_session_timeout", "5s"),
        ("show lock_timeout", "10s"),
    ] {
        let value: String = sqlx::query_scalar(setting).fetch_one(store.db.writer()).await.unwrap();
        assert_eq!(value, expected, "{setting}");
    }
}
