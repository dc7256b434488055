//! Opening a store, and telling whether the master key is its own.

use std::sync::Arc;

use ai_proxy::catalog::seal::Vault;
use ai_proxy::catalog::snapshot::Snapshot;
use ai_proxy::catalog::{Error, owner, seal};
use ai_proxy::clock::now_ms;
use ai_proxy::db::{Db, OpenError, sqlite_url};

use tokio::sync::Barrier;

use crate::harness::{Store, master_key, on_both, run};

on_both![
    replicas_start_together_on_an_empty_store,
    of_two_keys_on_an_empty_store_one_is_wrong,
    a_wrong_master_key_is_said_at_start_with_what_to_do,
    opening_again_keeps_what_is_there,
];

async fn replicas_start_together_on_an_empty_store(store: Store) {
    let url = store.empty_url().await;
    let together = Arc::new(Barrier::new(16));
    let starts: Vec<_> = (0..16)
        .map(|_| {
            let (url, together) = (url.clone(), together.clone());
            tokio::spawn(async move {
                together.wait().await;
                let db = Db::open(&url).await?;
                Vault::new(&master_key(7), None).check(&db).await?;
                Ok::<_, anyhow::Error>(db)
            })
        })
        .collect();
    for start in starts {
        let db = start.await.unwrap().unwrap();
        assert_eq!(Snapshot::load(&db, &store.vault).await.unwrap().revision, 0);
        db.close().await;
    }
}

async fn of_two_keys_on_an_empty_store_one_is_wrong(store: Store) {
    let db = Db::open(&store.empty_url().await).await.unwrap();
    let starts = [7, 8].map(|key| {
        let db = db.clone();
        tokio::spawn(async move { Vault::new(&master_key(key), None).check(&db).await })
    });
    let mut wrong = Vec::new();
    for start in starts {
        wrong.extend(start.await.unwrap().err());
    }
    assert_eq!(wrong.len(), 1);
    assert!(matches!(wrong[0], Error::Seal(seal::Error::WrongMasterKey { .. })), "{}", wrong[0]);
    db.close().await;
}

async fn a_wrong_master_key_is_said_at_start_with_what_to_do(store: Store) {
    let error = Vault::new(&master_key(2), None).check(&store.db).await.unwrap_err();
    let text = error.to_string();
    for part in ["another master key", "AI_PROXY_MASTER_KEY", "master.key", "ai-proxy rekey"] {
        assert!(text.contains(part), "{text}");
    }
    Vault::new(&master_key(2), Some(&master_key(1))).check(&store.db).await.unwrap();
    Vault::new(&master_key(1), Some(&master_key(2))).check(&store.db).await.unwrap();
}

async fn opening_again_keeps_what_is_there(store: Store) {
    let again = store.replica().await;
    assert_eq!(owner::local(&again.db, "local", now_ms()).await.unwrap().id, store.by.owner_id);
    again.db.close().await;
}

#[tokio::test]
async fn only_a_file_or_a_server_is_a_store() {
    for url in ["", "mysql://127.0.0.1/x", "ai-proxy.db"] {
        assert!(matches!(Db::open(url).await, Err(OpenError::UnknownStore)), "{url}");
    }
    for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite://x.db?mode=memory"] {
        assert!(matches!(Db::open(url).await, Err(OpenError::SqliteFile)), "{url}");
    }
    let refused = Db::open("postgres://postgres@127.0.0.1:1/postgres").await;
    assert!(refused.unwrap_err().to_string().contains("refused"), "says why");
}

#[tokio::test]
async fn a_sqlite_file_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it's #1, 100%25 new?é/x y.db");
    Db::open(&sqlite_url(&file)).await.unwrap().close().await;
    assert!(file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_connections_are_set_up_to_wait_and_to_check_references() {
    run(Store::sqlite().await, |store| async move {
        for pool in [store.db.pool(), store.db.writer()] {
            for (pragma, expected) in [
                ("pragma busy_timeout", 5000),
                ("pragma foreign_keys", 1),
                ("pragma synchronous", 1),
            ] {
                let value: i64 = sqlx::query_scalar(pragma).fetch_one(pool).await.unwrap();
                assert_eq!(value, expected, "{pragma}");
            }
            let mode: String =
                sqlx::query_scalar("pragma journal_mode").fetch_one(pool).await.unwrap();
            assert_eq!(mode, "wal");
        }
    })
    .await;
}
