//! Owners without a password, and the links by which they get one.

use ai_proxy::catalog::owner::manage;
use ai_proxy::catalog::owner::redeem::redeem;
use ai_proxy::catalog::owner::{self, Role};
use ai_proxy::catalog::{Digest, Error};
use ai_proxy::clock::now_ms;
use secrecy::ExposeSecret;

use crate::harness::{Store, on_both};

on_both![
    a_local_owner_is_made_once,
    a_setup_link_is_stored_hashed_and_expires,
    a_reset_ends_the_owners_earlier_links_only,
    who_is_deactivated_gets_no_link,
    local_goes_on_meaning_the_owner_whom_an_administrator_took_over,
    local_means_the_first_administrator_where_nothing_was_made_before,
];

async fn a_local_owner_is_made_once(store: Store) {
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let db = store.db.clone();
            tokio::spawn(async move { owner::local(&db, " grace ", now_ms()).await.unwrap().id })
        })
        .collect();
    let mut ids = Vec::new();
    for start in starts {
        ids.push(start.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let grace = owner::find(&store.db, "grace").await.unwrap().unwrap();
    assert_eq!((&grace.id, grace.role, grace.active), (&ids[0], Role::Owner, true));
    assert_eq!(store.number("select count(*) from owner where password_hash is null").await, 2);
    assert_eq!(store.number("select count(*) from audit where noun = 'owner'").await, 2);
    assert!(matches!(owner::local(&store.db, " ", now_ms()).await, Err(Error::Invalid { .. })));
}

async fn a_setup_link_is_stored_hashed_and_expires(store: Store) {
    let link = owner::link::first(&store.db, now_ms()).await.unwrap();
    let (digest, created_at, expires_at): (String, i64, i64) =
        sqlx::query_as("select digest, created_at, expires_at from setup_link")
            .fetch_one(store.db.pool())
            .await
            .unwrap();
    assert_eq!(digest, Digest::sha256(link.token.expose_secret().as_bytes()).hex());
    assert_eq!(expires_at - created_at, 3_600_000);
    assert_eq!(expires_at, link.expires_at);
    assert!(!format!("{link:?}").contains(link.token.expose_secret()));

    store.execute("update setup_link set expires_at = 1").await;
    owner::link::first(&store.db, now_ms()).await.unwrap();
    assert_eq!(store.number("select count(*) from setup_link").await, 1, "the expired one went");
}

async fn a_reset_ends_the_owners_earlier_links_only(store: Store) {
    owner::link::first(&store.db, now_ms()).await.unwrap();
    store.another_owner().await;
    owner::link::reset(&store.db, "another", now_ms()).await.unwrap();
    let first = owner::link::reset(&store.db, "local", now_ms()).await.unwrap();
    let second = owner::link::reset(&store.db, "local", now_ms()).await.unwrap();
    assert_ne!(first.token.expose_secret(), second.token.expose_secret());
    assert_eq!(store.number("select count(*) from setup_link").await, 3);
    let missing = owner::link::reset(&store.db, "nobody", now_ms()).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no owner \"nobody\"");
}

async fn who_is_deactivated_gets_no_link(store: Store) {
    become_administrator(&store, "Ada").await.unwrap();
    let bob = owner::local(&store.db, "Bob", now_ms()).await.unwrap();
    manage::set_active(&store.db, &store.by, &bob, false).await.unwrap();
    let refused = owner::link::reset(&store.db, "Bob", now_ms()).await.unwrap_err();
    assert_eq!(refused.to_string(), "Bob is deactivated; reactivate them first");
}

async fn become_administrator(store: &Store, name: &str) -> Result<owner::Owner, Error> {
    let link = owner::link::first(&store.db, now_ms()).await.unwrap();
    let owner = redeem(&store.db, link.token.expose_secret(), name, "a hash", now_ms()).await?;
    Ok(owner.expect("the link is good"))
}

async fn local_goes_on_meaning_the_owner_whom_an_administrator_took_over(store: Store) {
    let ada = become_administrator(&store, "Ada").await.unwrap();
    assert_eq!(ada.id, store.by.owner_id);
    let found = owner::find(&store.db, "local").await.unwrap().unwrap();
    let made = owner::local(&store.db, " local ", now_ms()).await.unwrap();
    assert_eq!((&found.id, &*found.name), (&ada.id, "Ada"));
    assert_eq!((&made.id, &*made.name), (&ada.id, "Ada"));
    assert_eq!(store.number("select count(*) from owner").await, 1);

    // Nobody else gets the name, nor what it means.
    let taken = become_administrator(&store, "local").await;
    assert!(matches!(taken, Err(Error::Invalid { field: "name", .. })), "{taken:?}");
    let grace = become_administrator(&store, "Grace").await.unwrap();
    assert_ne!(grace.id, ada.id);
    assert_eq!(owner::local(&store.db, "local", now_ms()).await.unwrap().id, ada.id);
}

async fn local_means_the_first_administrator_where_nothing_was_made_before(store: Store) {
    store.execute("delete from owner").await;
    let ada = become_administrator(&store, "Ada").await.unwrap();
    assert_eq!(owner::local(&store.db, "local", now_ms()).await.unwrap().id, ada.id);
    assert_eq!(store.number("select count(*) from owner").await, 1);
}
