//! A big event that is deleted beside one that people are in.

use ai_proxy::catalog::event;

use crate::harness::backend::Backend;
use crate::harness::eventually;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_refused_while_its_rows_are_removed() {
    let backend = Backend::answering(|_| Reply::json("{}")).await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let big = proxy.event().open().await;
    big.attendees(300).await;
    let fill = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 60000)
        insert into usage select event.id, cast(i as text), 'r', 'tools/call', 'echo', i,
            1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 from n, event";
    sqlx::query(fill).execute(proxy.store.db.writer()).await.unwrap();
    let ada = proxy.event().daily_cap(20_000).rate(100_000, 100_000).open().await.attendee().await;
    proxy.start().await;

    event::delete(&proxy.store.db, &proxy.store.by, &big.id).await.unwrap();
    let store = proxy.store.clone();
    let is_left = async || -> bool {
        let left: i64 = sqlx::query_scalar("select count(*) from event where purge_at is not null")
            .fetch_one(store.db.pool())
            .await
            .unwrap();
        left > 0
    };
    let mut calls = 0;
    while is_left().await {
        let answer = ada.call().await;
        assert_eq!(answer.status, 200, "call {calls}");
        calls += 1;
    }
    assert!(calls > 0);
    eventually("everything is gone", async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from usage where event_id = $1")
            .bind(&big.id)
            .fetch_one(store.db.pool())
            .await
            .unwrap();
        rows == 0
    })
    .await;
}
