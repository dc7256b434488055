//! API tokens: whom one speaks for, and until when.

use ai_proxy::catalog::Error;
use ai_proxy::catalog::owner::{self, api_token, manage};
use ai_proxy::clock::now_ms;
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, on_both};

on_both![
    a_token_speaks_for_its_owner_until_it_is_revoked,
    a_token_ends_when_it_expires_or_its_owner_is_deactivated,
    a_name_is_used_once_and_another_owners_token_is_not_there,
];

async fn a_token_speaks_for_its_owner_until_it_is_revoked(store: Store) {
    let db = &store.db;
    let ada = owner::local(db, "Ada", now_ms()).await.unwrap();
    let token = api_token::create(db, &ada.actor(now_ms()), "CI", Some(90)).await.unwrap();
    let listed = api_token::list(db, &ada.id).await.unwrap();
    assert_eq!((listed.len(), listed[0].last_used_at), (1, None));
    let valid = listed[0].expires_at.unwrap() - listed[0].created_at;
    assert_eq!(valid, 90 * 86_400_000);

    let holder = api_token::holder(db, &token, now_ms()).await.unwrap().unwrap();
    assert_eq!((&*holder.owner.id, &*holder.actor(now_ms()).name), (&*ada.id, "Ada (token CI)"));
    assert!(api_token::list(db, &ada.id).await.unwrap()[0].last_used_at.is_some());
    let stored: String =
        sqlx::query_scalar("select digest from api_token").fetch_one(db.pool()).await.unwrap();
    assert!(!token.expose_secret().contains(&stored));

    assert_eq!(api_token::revoke(db, &ada.actor(now_ms()), &listed[0].id).await.unwrap(), "CI");
    assert!(api_token::holder(db, &token, now_ms()).await.unwrap().is_none());
    for wrong in ["", "aip_", token.expose_secret()] {
        assert!(
            api_token::holder(db, &SecretString::from(wrong), now_ms()).await.unwrap().is_none()
        );
    }
}

async fn a_token_ends_when_it_expires_or_its_owner_is_deactivated(store: Store) {
    let db = &store.db;
    let ada = owner::local(db, "Ada", now_ms()).await.unwrap();
    let token = api_token::create(db, &ada.actor(now_ms()), "CI", Some(1)).await.unwrap();
    sqlx::query("update api_token set expires_at = 1").execute(db.writer()).await.unwrap();
    assert!(api_token::holder(db, &token, now_ms()).await.unwrap().is_none());

    let token = api_token::create(db, &ada.actor(now_ms()), "lasting", None).await.unwrap();
    assert!(api_token::holder(db, &token, now_ms()).await.unwrap().is_some());
    let link = owner::link::first(db, now_ms()).await.unwrap();
    let redeemed =
        owner::redeem::redeem(db, link.token.expose_secret(), "Root", "hash", now_ms()).await;
    let root = redeemed.unwrap().unwrap();
    manage::set_active(db, &root.actor(now_ms()), &ada, false).await.unwrap();
    assert!(api_token::holder(db, &token, now_ms()).await.unwrap().is_none());
    assert!(api_token::list(db, &ada.id).await.unwrap().is_empty());
}

async fn a_name_is_used_once_and_another_owners_token_is_not_there(store: Store) {
    let db = &store.db;
    let ada = owner::local(db, "Ada", now_ms()).await.unwrap();
    let eve = owner::local(db, "Eve", now_ms()).await.unwrap();
    api_token::create(db, &ada.actor(now_ms()), "CI", None).await.unwrap();
    api_token::create(db, &eve.actor(now_ms()), "CI", None).await.unwrap();
    let twice = api_token::create(db, &ada.actor(now_ms()), " CI ", None).await;
    assert!(matches!(twice, Err(Error::Invalid { field: "name", .. })), "{twice:?}");
    for days in [0, 3651] {
        let odd = api_token::create(db, &ada.actor(now_ms()), "B", Some(days)).await;
        assert!(matches!(odd, Err(Error::Invalid { field: "days", .. })), "{odd:?}");
    }
    let id = &api_token::list(db, &ada.id).await.unwrap()[0].id;
    let hers = api_token::revoke(db, &eve.actor(now_ms()), id).await;
    assert!(matches!(hers, Err(Error::NotFound { .. })), "{hers:?}");
    assert_eq!(api_token::list(db, &ada.id).await.unwrap().len(), 1);
}
