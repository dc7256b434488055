//! Microsoft accounts of owners: each one's is one owner's.

use ai_proxy::catalog::owner::entra::{self, Account};
use ai_proxy::catalog::owner::{self, manage};
use ai_proxy::catalog::{Error, sign_in_state};
use ai_proxy::clock::now_ms;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::harness::{Store, on_both};

on_both![
    an_account_is_admitted_once_under_a_name_of_its_own,
    a_link_gives_an_account_to_its_owner_once,
    a_link_of_nobody_or_of_a_deactivated_owner_gives_nothing,
    a_state_is_spent_once_and_forgotten_when_it_has_expired,
];

fn account(object: u128) -> Account {
    Account { tenant: Uuid::from_u128(1), object: Uuid::from_u128(object) }
}

async fn an_account_is_admitted_once_under_a_name_of_its_own(store: Store) {
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let db = store.db.clone();
            tokio::spawn(
                async move { entra::admit(&db, account(1), "Ada", now_ms()).await.unwrap().id },
            )
        })
        .collect();
    let mut ids = Vec::new();
    for start in starts {
        ids.push(start.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let mut names = Vec::new();
    for (object, name) in [(2, "Ada"), (3, "Ada"), (4, "local"), (5, " \n"), (6, "A\u{0}da\r")] {
        names.push(entra::admit(&store.db, account(object), name, now_ms()).await.unwrap().name);
    }
    assert_eq!(names, ["Ada 2", "Ada 3", "local 2", "Microsoft account 00000000", "Ada 4"]);
    let long = entra::admit(&store.db, account(7), &"x".repeat(500), now_ms()).await.unwrap();
    assert!(long.name.len() <= 64);
    let found = entra::owner_of(&store.db, account(2)).await.unwrap().unwrap();
    assert_eq!(found.name, "Ada 2");
    let elsewhere = Account { tenant: Uuid::from_u128(2), ..account(2) };
    assert!(entra::owner_of(&store.db, elsewhere).await.unwrap().is_none());
}

async fn a_link_gives_an_account_to_its_owner_once(store: Store) {
    let ada = entra::admit(&store.db, account(1), "Ada", now_ms()).await.unwrap();
    let link = manage::invite(&store.db, &store.by, "Grace").await.unwrap();
    let token = link.token.expose_secret();
    let taken = entra::redeem(&store.db, token, account(1), now_ms()).await.unwrap_err();
    assert!(matches!(taken, Error::Conflict { .. }), "{taken}");
    assert_eq!(taken.to_string(), "this Microsoft account already signs in as Ada");

    let grace = entra::redeem(&store.db, token, account(2), now_ms()).await.unwrap().unwrap();
    assert_eq!(grace.name, "Grace");
    assert!(entra::redeem(&store.db, token, account(2), now_ms()).await.unwrap().is_none());
    // Her next link moves her to another account.
    let link = owner::link::reset(&store.db, "Grace", now_ms()).await.unwrap();
    entra::redeem(&store.db, link.token.expose_secret(), account(3), now_ms())
        .await
        .unwrap()
        .unwrap();
    assert!(entra::owner_of(&store.db, account(2)).await.unwrap().is_none());
    assert_eq!(entra::owner_of(&store.db, account(3)).await.unwrap().unwrap().id, grace.id);
    assert_eq!(entra::owner_of(&store.db, account(1)).await.unwrap().unwrap().id, ada.id);
    let audited = "select count(*) from audit where action = 'linked a Microsoft account to'";
    assert_eq!(store.number(audited).await, 2);
}

async fn a_link_of_nobody_or_of_a_deactivated_owner_gives_nothing(store: Store) {
    let first = owner::link::first(&store.db, now_ms()).await.unwrap();
    let redeemed =
        entra::redeem(&store.db, first.token.expose_secret(), account(1), now_ms()).await;
    assert!(redeemed.unwrap().is_none(), "the first administrator has a password");
    let link = manage::invite(&store.db, &store.by, "Grace").await.unwrap();
    store.execute("update owner set active = 0 where name = 'Grace'").await;
    let redeemed = entra::redeem(&store.db, link.token.expose_secret(), account(1), now_ms()).await;
    assert!(redeemed.unwrap().is_none());
    assert!(entra::redeem(&store.db, "0000", account(1), now_ms()).await.unwrap().is_none());
    assert_eq!(store.number("select count(*) from entra_account").await, 0);
}

async fn a_state_is_spent_once_and_forgotten_when_it_has_expired(store: Store) {
    let later = now_ms() + 600_000;
    let spends: Vec<_> = (0..8)
        .map(|_| {
            let db = store.db.clone();
            tokio::spawn(async move {
                sign_in_state::spend(&db, "a state", later, now_ms()).await.unwrap()
            })
        })
        .collect();
    let mut spent = 0;
    for spend in spends {
        spent += u32::from(spend.await.unwrap());
    }
    assert_eq!(spent, 1);
    assert_eq!(store.number("select count(*) from entra_state where digest = 'a state'").await, 0);
    store.execute("update entra_state set expires_at = 1").await;
    assert!(sign_in_state::spend(&store.db, "another", later, now_ms()).await.unwrap());
    assert_eq!(store.number("select count(*) from entra_state").await, 1);
}
