//! The store goes away and comes back.

use std::time::{Duration, Instant};

use ai_proxy::catalog::Error;
use ai_proxy::catalog::quota::{self, Grant};
use ai_proxy::catalog::usage::{self, Batch};
use ai_proxy::clock::now_ms;

use crate::harness::{Store, on_both};

on_both![what_cannot_be_written_is_a_store_error_until_the_store_is_back,];

async fn what_cannot_be_written_is_a_store_error_until_the_store_is_back(store: Store) {
    let lease = || quota::lease(&store.db, "ada", 1, 1, 5);
    let mut batch = Batch::new();
    batch.spent = [(("ada".into(), 1), 1)].into();
    lease().await.unwrap().unwrap();

    store.take_away().await;
    let started = Instant::now();
    assert!(matches!(lease().await, Err(Error::Store(_))));
    assert!(matches!(usage::flush(&store.db, &batch, now_ms()).await, Err(Error::Store(_))));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());

    store.bring_back().await;
    assert_eq!(lease().await.unwrap(), Some(Grant { granted: 2, spent: 0 }));
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
    assert_eq!(quota::used(&store.db, "ada", 1).await.unwrap(), 1);
}
