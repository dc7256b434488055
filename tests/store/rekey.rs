//! Changing the master key without down-time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ai_proxy::catalog::attendee::card::{self, PrintedCard, Which};
use ai_proxy::catalog::attendee::claim::{self, CardReader, Claim, For};
use ai_proxy::catalog::event::Draft;
use ai_proxy::catalog::rekey::{self, Rekeyed};
use ai_proxy::catalog::resource::{self, KeyChange};
use ai_proxy::catalog::seal::Vault;
use ai_proxy::catalog::snapshot::Snapshot;
use ai_proxy::catalog::{Digest, attendee, mcp_session};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, master_key, on_both, resource_draft};

on_both![
    a_server_with_both_keys_serves_while_it_runs,
    a_run_that_broke_off_is_taken_up_again,
    what_changes_meanwhile_is_not_undone,
    a_session_that_cannot_be_opened_keeps_no_other_and_ends_the_run,
    without_the_old_key_nothing_is_touched,
];

async fn finds(store: &Store, vault: &Vault, key: &SecretString) -> bool {
    let digests: Vec<_> = std::iter::once(vault.digest(key.expose_secret()))
        .chain(vault.old_digest(key.expose_secret()))
        .collect();
    attendee::find_by_digest(&store.db, &digests).await.unwrap().is_some()
}

async fn a_server_with_both_keys_serves_while_it_runs(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let keyless = resource::Draft { key: KeyChange::Keep, ..resource_draft("keyless") };
    store.save_resource(&keyless).await.unwrap();
    let draft = Draft {
        resources: vec![resource.id.clone()],
        shared_code: Some("Welcome2026".into()),
        ..event_draft()
    };
    let event = store.save_event(&draft).await.unwrap();
    store.event().await;
    let issued = store.issue(&event, 250).await;
    let made = claim::make_cards(&store.db, &store.vault, &store.by, &event.id, For::New).await;
    let mut made = made.unwrap();
    let before = made.pop().unwrap();
    store.execute("update claim_code set code_sealed = null where attendee_id = (select max(attendee_id) from claim_code)").await;
    let both = Arc::new(Vault::new(&master_key(2), Some(&master_key(1))));
    let session = mcp_session::McpSession {
        endpoint: Digest::sha256(b"origin"),
        id: Digest::sha256(b"session"),
        attendee_id: "ada".into(),
    };
    let affinity = Some(session.seal_affinity(&store.vault, "lb=1").unwrap());
    let bound = mcp_session::IssuedSession { session: session.clone(), affinity };
    mcp_session::take_over(&store.db, &bound, 0).await.unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let server = tokio::spawn({
        let (store, both, done) = (store.replica().await, both.clone(), done.clone());
        let keys: Vec<_> = issued.iter().map(|new| new.api_key.clone()).collect();
        async move {
            let mut rounds = 0;
            while !done.load(Ordering::Acquire) || rounds == 0 {
                for key in &keys {
                    assert!(finds(&store, &both, key).await);
                }
                let snapshot = Snapshot::load(&store.db, &both).await.unwrap();
                assert_eq!(snapshot.events.len(), 2);
                rounds += 1;
            }
            store.db.close().await;
        }
    });
    let rekeyed = rekey::run(&store.db, &both).await.unwrap();
    done.store(true, Ordering::Release);
    server.await.unwrap();
    let expected =
        Rekeyed { endpoints: 2, backend_keys: 1, shared_codes: 1, api_keys: 250, card_codes: 249 };
    assert_eq!(rekeyed, expected);

    let new = Vault::new(&master_key(2), None);
    new.check(&store.db).await.unwrap();
    store.vault.check(&store.db).await.unwrap_err();
    assert!(finds(&store, &new, &issued[0].api_key).await);
    let sealed = sqlx::query_scalar("select affinity_sealed from mcp_session");
    let sealed: String = sealed.fetch_one(store.db.pool()).await.unwrap();
    assert_eq!(session.open_affinity(&new, &sealed).unwrap().expose_secret(), "lb=1");
    let opened = Snapshot::load(&store.db, &new).await.unwrap();
    let opened = &opened.events[&event.id];
    assert_eq!(opened.resources[0].key.as_ref().unwrap().expose_secret(), "backend-key");
    assert_eq!(opened.shared_code.as_ref().unwrap().expose_secret(), "Welcome2026");
    let key =
        attendee::reveal_key(&store.db, &new, &store.by.owner_id, &issued[7].attendee_id).await;
    assert_eq!(key.unwrap().expose_secret(), issued[7].api_key.expose_secret());
    assert_eq!(rekey::run(&store.db, &both).await.unwrap(), Rekeyed::default(), "nothing is left");
    let part = Which::Part(1);
    let cards = card::stored(&store.db, &new, &store.by.owner_id, &event.id, part).await.unwrap();
    let codes = |cards: &[PrintedCard]| -> HashSet<String> {
        cards.iter().map(|card| card.code.expose_secret().to_owned()).collect()
    };
    assert_eq!(codes(&cards), codes(&made));
    let reader = CardReader { agent: "", form: None, held: &[] };
    let use_card = async |vault: &Vault, card: &PrintedCard| {
        claim::claim(&store.db, vault, card.code.expose_secret(), &reader, 1).await.unwrap()
    };
    let claimed = use_card(&new, &cards[0]).await;
    assert!(matches!(claimed, Claim::Open { .. }), "{claimed:?}");
    let claimed = use_card(&new, &before).await;
    assert!(matches!(claimed, Claim::Unknown), "its digest cannot be made anew");
    let claimed = use_card(&both, &before).await;
    assert!(matches!(claimed, Claim::Open { .. }), "until the old key is gone: {claimed:?}");
}

async fn a_run_that_broke_off_is_taken_up_again(store: Store) {
    let event = store.event().await;
    let mut issued = store.issue(&event, 3).await;
    issued.sort_by(|a, b| a.attendee_id.cmp(&b.attendee_id));
    store.resource("mcp-demo").await;
    let both = Vault::new(&master_key(2), Some(&master_key(1)));
    let sealed: String =
        sqlx::query_scalar("select max(api_key_sealed) from attendee where user_id = 'issued:3'")
            .fetch_one(store.db.pool())
            .await
            .unwrap();
    store
        .execute("update attendee set api_key_sealed = 'v1.damaged' where user_id = 'issued:3'")
        .await;
    let error = rekey::run(&store.db, &both).await.unwrap_err();
    assert!(error.to_string().contains(&issued[2].attendee_id), "{error}");
    both.check(&store.db).await.unwrap();
    store.vault.check(&store.db).await.expect("the old key is needed until all is done");
    let new = Vault::new(&master_key(2), None);
    for done in &issued[..2] {
        assert!(finds(&store, &new, &done.api_key).await, "one row does not keep the others");
    }

    sqlx::query("update attendee set api_key_sealed = $1 where user_id = 'issued:3'")
        .bind(sealed)
        .execute(store.db.writer())
        .await
        .unwrap();
    let rekeyed = rekey::run(&store.db, &both).await.unwrap();
    assert_eq!(rekeyed, Rekeyed { api_keys: 1, ..Rekeyed::default() }, "the rest was done");
    store.vault.check(&store.db).await.unwrap_err();
}

/// Keys are renewed and resources saved while the run replaces rows: nobody's
/// write is undone.
async fn what_changes_meanwhile_is_not_undone(store: Store) {
    let event = store.event().await;
    let issued = store.issue(&event, 150).await;
    let both = Arc::new(Vault::new(&master_key(2), Some(&master_key(1))));
    let renewing = tokio::spawn({
        let (store, both, issued) = (store.clone(), both.clone(), issued.clone());
        async move {
            let mut keys = Vec::new();
            for new in issued.iter().rev().take(30) {
                let key = attendee::new_key(&store.db, &both, &store.by, &new.attendee_id).await;
                keys.push(key.unwrap());
            }
            keys
        }
    });
    rekey::run(&store.db, &both).await.unwrap();
    let keys = renewing.await.unwrap();
    let new = Vault::new(&master_key(2), None);
    for key in &keys {
        assert!(finds(&store, &new, key).await);
    }
    for old in issued.iter().rev().take(30) {
        assert!(!finds(&store, &both, &old.api_key).await);
    }
    assert!(finds(&store, &new, &issued[0].api_key).await);
}

async fn without_the_old_key_nothing_is_touched(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0);
    let stranger = Vault::new(&master_key(3), Some(&master_key(2)));
    let error = rekey::run(&store.db, &stranger).await.unwrap_err();
    assert!(error.to_string().contains("another master key"), "{error}");
    store.vault.check(&store.db).await.unwrap();
    assert!(finds(&store, &store.vault, &ada.api_key).await);
}

async fn a_session_that_cannot_be_opened_keeps_no_other_and_ends_the_run(store: Store) {
    let both = Vault::new(&master_key(2), Some(&master_key(1)));
    for n in 0..205_u8 {
        let session = mcp_session::McpSession {
            endpoint: Digest::sha256(b"origin"),
            id: Digest::sha256(&[n]),
            attendee_id: "ada".into(),
        };
        let affinity = Some(session.seal_affinity(&store.vault, "lb=1").unwrap());
        let bound = mcp_session::IssuedSession { session, affinity };
        mcp_session::take_over(&store.db, &bound, 0).await.unwrap();
    }
    store
        .execute(
            "update mcp_session set affinity_sealed = 'v1.damaged'
             where session_digest = (select min(session_digest) from mcp_session)",
        )
        .await;
    let run = rekey::run(&store.db, &both);
    let error = tokio::time::timeout(Duration::from_secs(60), run).await.expect("it ends");
    assert!(error.unwrap_err().to_string().contains("affinity_sealed"));
    let sealed = sqlx::query_scalar("select affinity_sealed from mcp_session");
    let sealed: Vec<String> = sealed.fetch_all(store.db.pool()).await.unwrap();
    // "v1.", which key it was, and the rest.
    let keys: HashSet<_> = sealed.iter().map(|text| text.split('.').nth(1)).collect();
    assert_eq!((sealed.len(), keys.len()), (205, 2), "one is left, and the others have one key");
}
