//! Grants of MCP clients: what a code and a refresh token are good for, how often, and what ends them.

use ai_proxy::catalog::change::{self, Changes};
use ai_proxy::catalog::oauth::{
    self, ACCESS_MS, AccessToken, CODE_MS, GRACE_MS, LEEWAY_MS, NewCode, NewGrant, TokenPair,
};
use ai_proxy::catalog::seal::Vault;
use ai_proxy::catalog::{Error, Noun, attendee, event};
use ai_proxy::clock::{day_of, now_ms};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, master_key, on_both};

on_both![
    a_code_is_good_for_one_exchange_and_the_second_ends_what_came_of_the_first,
    of_many_exchanges_at_once_none_leaves_tokens_behind,
    a_code_that_is_refused_can_still_be_exchanged_until_it_expires,
    a_refresh_token_is_rotated_and_ends_everything_when_it_is_used_late,
    five_refreshes_at_once_each_get_tokens_of_their_own,
    a_new_key_and_a_deletion_end_grants_and_another_attendees_stay,
    a_revoked_token_ends_its_grant_for_every_replica,
    another_shared_code_ends_a_grant_and_the_same_one_does_not,
    tokens_are_found_under_either_master_key,
    the_fifty_first_grant_takes_the_place_of_the_one_unused_for_longest,
    what_has_expired_is_removed_and_nothing_else,
    a_client_that_refreshes_without_an_end_is_ended_before_it_fills_the_store,
    a_thief_who_refreshes_without_an_end_hides_nothing,
    who_only_typed_a_name_takes_no_other_grants_place,
    nobody_allows_anything_in_a_session_that_has_ended,
    a_refresh_token_that_nobody_uses_is_kept_for_a_month,
];

const DAY_MS: i64 = 86_400_000;

const CODE: NewCode<'static> =
    NewCode { redirect_uri: "http://localhost:1/callback", challenge: "the challenge" };

fn grant(attendee_id: &str) -> NewGrant<'_> {
    NewGrant {
        attendee_id,
        client_id: "the client",
        client_name: "Editor",
        redirect_host: "localhost",
        deployment: Some("demo"),
        shared_code: None,
        is_proven: true,
        session_id: attendee_id,
    }
}

/// Signs everybody in, in a session with their own id.
async fn sign_in(store: &Store) {
    store
        .execute(
            "insert into attendee_session (digest, attendee_id, way, agent, created_at, last_seen_at)
    select id, id, 'joined', 'Firefox', 1, 1 from attendee
    where not exists (select 1 from attendee_session where digest = attendee.id)",
        )
        .await;
}

/// Somebody who was given a key.
async fn attendee(store: &Store) -> String {
    let event = store.event().await;
    store.issue(&event, 1).await.remove(0).attendee_id
}

async fn authorize(store: &Store, attendee_id: &str, at: i64) -> SecretString {
    sign_in(store).await;
    oauth::authorize(&store.db, &store.vault, &grant(attendee_id), &CODE, at).await.unwrap()
}

async fn redeem(store: &Store, code: &SecretString, at: i64) -> Option<TokenPair> {
    let allow = |_: &_| Ok::<_, Error>(());
    oauth::redeem(&store.db, &store.vault, code.expose_secret(), at, allow).await.unwrap()
}

async fn rotate(store: &Store, refresh: &SecretString, at: i64) -> Option<TokenPair> {
    let allow = |_: &_| Ok::<_, Error>(());
    oauth::rotate(&store.db, &store.vault, refresh.expose_secret(), at, allow).await.unwrap()
}

/// The tokens of somebody who has allowed a client.
async fn tokens(store: &Store, attendee_id: &str) -> TokenPair {
    let code = authorize(store, attendee_id, now_ms()).await;
    redeem(store, &code, now_ms()).await.unwrap()
}

async fn access(store: &Store, vault: &Vault, token: &SecretString) -> Option<AccessToken> {
    let digests: Vec<_> = std::iter::once(vault.digest(token.expose_secret()))
        .chain(vault.old_digest(token.expose_secret()))
        .collect();
    oauth::find_access(&store.db, &digests).await.unwrap()
}

async fn is_good(store: &Store, token: &SecretString) -> bool {
    access(store, &store.vault, token).await.is_some()
}

async fn a_code_is_good_for_one_exchange_and_the_second_ends_what_came_of_the_first(store: Store) {
    let ada = attendee(&store).await;
    let code = authorize(&store, &ada, 1_000).await;
    let tokens = redeem(&store, &code, 1_000 + CODE_MS).await.unwrap();
    let found = access(&store, &store.vault, &tokens.access).await.unwrap();
    assert_eq!((&found.grant.attendee_id, found.grant.deployment.as_deref()), (&ada, Some("demo")));
    assert_eq!(found.expires_at, 1_000 + CODE_MS + ACCESS_MS);
    assert!(!is_good(&store, &tokens.refresh).await, "a refresh token is no access token");

    let revision = change::revision(&store.db).await.unwrap();
    assert!(redeem(&store, &code, 1_000 + CODE_MS).await.is_none());
    assert!(!is_good(&store, &tokens.access).await);
    assert!(rotate(&store, &tokens.refresh, now_ms()).await.is_none());
    let Changes::Some { changes, .. } = change::since(&store.db, revision).await.unwrap() else {
        panic!("no replica learns of it")
    };
    let [(Noun::Credential, id)] = &changes[..] else { panic!("{changes:?}") };
    assert!(id.starts_with(&format!("{ada} ")), "the attendee and the grant: {id}");

    let stored = "select count(*) from oauth_code where digest like 'aipx%'";
    assert_eq!(store.number(stored).await, 0);
}

async fn of_many_exchanges_at_once_none_leaves_tokens_behind(store: Store) {
    let ada = attendee(&store).await;
    let code = authorize(&store, &ada, 0).await;
    let all = (0..8).map(|_| redeem(&store, &code, 1));
    let won = futures_util::future::join_all(all).await.into_iter().flatten().count();
    assert!(won <= 1, "{won} have tokens");
    assert_eq!(store.number("select count(*) from oauth_token").await, 0);
}

async fn a_code_that_is_refused_can_still_be_exchanged_until_it_expires(store: Store) {
    let ada = attendee(&store).await;
    let code = authorize(&store, &ada, 0).await;
    let refused = oauth::redeem(&store.db, &store.vault, code.expose_secret(), 1, |code| {
        assert_eq!(code.redirect_uri, CODE.redirect_uri);
        assert_eq!((&*code.challenge, &*code.grant.client_id), (CODE.challenge, "the client"));
        Err(Error::Conflict { reason: "another verifier".to_owned() })
    });
    assert!(matches!(refused.await, Err(Error::Conflict { .. })));
    assert!(redeem(&store, &code, CODE_MS + 1).await.is_none(), "it has expired");
    assert!(redeem(&store, &code, CODE_MS).await.is_some());
    assert!(redeem(&store, &"aipx_ac_unknown".into(), 1).await.is_none());
}

async fn a_refresh_token_is_rotated_and_ends_everything_when_it_is_used_late(store: Store) {
    let ada = attendee(&store).await;
    let code = authorize(&store, &ada, 0).await;
    let first = redeem(&store, &code, 0).await.unwrap();
    let second = rotate(&store, &first.refresh, 1_000).await.unwrap();
    let window = rotate(&store, &first.refresh, 1_000 + GRACE_MS).await.unwrap();
    for token in [&first.access, &second.access, &window.access] {
        assert!(is_good(&store, token).await, "none ends another");
    }
    assert!(rotate(&store, &first.access, 1_000).await.is_none(), "it is no refresh token");
    assert!(rotate(&store, &first.refresh, 1_001 + GRACE_MS).await.is_none());
    for token in [&first.access, &second.access, &window.access] {
        assert!(!is_good(&store, token).await);
    }
    assert!(rotate(&store, &second.refresh, 1_002 + GRACE_MS).await.is_none());
}

async fn five_refreshes_at_once_each_get_tokens_of_their_own(store: Store) {
    let ada = attendee(&store).await;
    let first = tokens(&store, &ada).await;
    let all = (0..5).map(|_| rotate(&store, &first.refresh, now_ms()));
    let pairs: Vec<_> = futures_util::future::join_all(all).await.into_iter().flatten().collect();
    assert_eq!(pairs.len(), 5);
    for pair in &pairs {
        assert!(is_good(&store, &pair.access).await);
        assert!(rotate(&store, &pair.refresh, now_ms()).await.is_some());
    }
}

async fn a_new_key_and_a_deletion_end_grants_and_another_attendees_stay(store: Store) {
    let event = store.event().await;
    let issued = store.issue(&event, 3).await;
    let mut of = Vec::new();
    for one in &issued {
        of.push(tokens(&store, &one.attendee_id).await);
    }
    let pending = authorize(&store, &issued[0].attendee_id, now_ms()).await;
    attendee::new_key(&store.db, &store.vault, &store.by, &issued[0].attendee_id).await.unwrap();
    attendee::delete(&store.db, &store.by, &issued[1].attendee_id, day_of(now_ms())).await.unwrap();
    for gone in &of[..2] {
        assert!(!is_good(&store, &gone.access).await);
        assert!(rotate(&store, &gone.refresh, now_ms()).await.is_none());
    }
    assert!(redeem(&store, &pending, now_ms()).await.is_none());
    assert!(is_good(&store, &of[2].access).await);

    let gone = grant(&issued[1].attendee_id);
    let refused = oauth::authorize(&store.db, &store.vault, &gone, &CODE, now_ms()).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");

    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    store.purge().await;
    assert_eq!(store.number("select count(*) from oauth_grant").await, 0);
    assert_eq!(store.number("select count(*) from oauth_token").await, 0);
}

async fn a_revoked_token_ends_its_grant_for_every_replica(store: Store) {
    let ada = attendee(&store).await;
    for is_access in [true, false] {
        let (pair, other) = (tokens(&store, &ada).await, tokens(&store, &ada).await);
        let token = if is_access { &pair.access } else { &pair.refresh };
        let refused = oauth::revoke(&store.db, &store.vault, token.expose_secret(), |_| {
            Err(Error::Conflict { reason: "another client's".to_owned() })
        });
        refused.await.unwrap_err();
        assert!(is_good(&store, &pair.access).await);

        let revision = change::revision(&store.db).await.unwrap();
        let allow = |_: &_| Ok::<_, Error>(());
        for _ in 0..2 {
            oauth::revoke(&store.db, &store.vault, token.expose_secret(), allow).await.unwrap();
        }
        assert!(!is_good(&store, &pair.access).await);
        assert!(rotate(&store, &pair.refresh, now_ms()).await.is_none());
        assert!(is_good(&store, &other.access).await, "each client is revoked by itself");
        assert_eq!(change::revision(&store.db).await.unwrap(), revision + 1);
    }
}

async fn another_shared_code_ends_a_grant_and_the_same_one_does_not(store: Store) {
    let ada = attendee(&store).await;
    sign_in(&store).await;
    let by_code = NewGrant { shared_code: Some("Welcome2026"), ..grant(&ada) };
    let code = oauth::authorize(&store.db, &store.vault, &by_code, &CODE, 0).await.unwrap();
    let pair = redeem(&store, &code, 0).await.unwrap();
    let grant = access(&store, &store.vault, &pair.access).await.unwrap().grant;
    assert!(grant.stands_with(&store.vault, Some("wELCOME2026")));
    let both = Vault::new(&master_key(2), Some(&master_key(1)));
    assert!(grant.stands_with(&both, Some("welcome2026")));
    for other in [Some("welcome2027"), Some(""), None] {
        assert!(!grant.stands_with(&store.vault, other), "{other:?}");
    }
    let pair = tokens(&store, &ada).await;
    let grant = access(&store, &store.vault, &pair.access).await.unwrap().grant;
    assert!(grant.stands_with(&store.vault, None), "who has a key needs no code");
}

async fn tokens_are_found_under_either_master_key(store: Store) {
    let ada = attendee(&store).await;
    let pair = tokens(&store, &ada).await;
    let code = authorize(&store, &ada, now_ms()).await;
    let both = Vault::new(&master_key(2), Some(&master_key(1)));
    assert!(access(&store, &both, &pair.access).await.is_some());
    let allow = |_: &_| Ok::<_, Error>(());
    let refresh = pair.refresh.expose_secret();
    let renewed = oauth::rotate(&store.db, &both, refresh, now_ms(), allow).await.unwrap().unwrap();
    let code = code.expose_secret();
    let allow = |_: &_| Ok::<_, Error>(());
    assert!(oauth::redeem(&store.db, &both, code, now_ms(), allow).await.unwrap().is_some());

    let new = Vault::new(&master_key(2), None);
    assert!(access(&store, &new, &renewed.access).await.is_some());
    assert!(access(&store, &new, &pair.access).await.is_none());
}

async fn the_fifty_first_grant_takes_the_place_of_the_one_unused_for_longest(store: Store) {
    let ada = attendee(&store).await;
    let first = redeem(&store, &authorize(&store, &ada, 0).await, 0).await.unwrap();
    let second = redeem(&store, &authorize(&store, &ada, 1).await, 1).await.unwrap();
    let first = rotate(&store, &first.refresh, 2).await.unwrap();
    for at in 3..51 {
        authorize(&store, &ada, at).await;
    }
    assert!(is_good(&store, &second.access).await, "there is room for fifty");
    authorize(&store, &ada, 51).await;
    assert!(!is_good(&store, &second.access).await);
    assert!(is_good(&store, &first.access).await, "it was used later");
    assert_eq!(store.number("select count(*) from oauth_grant").await, 50);
}

async fn what_has_expired_is_removed_and_nothing_else(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0).attendee_id;
    let now = now_ms();
    let pair = redeem(&store, &authorize(&store, &ada, now).await, now).await.unwrap();
    authorize(&store, &ada, now).await;
    let rows = async || {
        let grants = store.number("select count(*) from oauth_grant").await;
        let codes = store.number("select count(*) from oauth_code").await;
        (grants, codes, store.number("select count(*) from oauth_token").await)
    };
    let at = now + ACCESS_MS + LEEWAY_MS;
    oauth::expire(&store.db, at).await.unwrap();
    assert_eq!(rows().await, (2, 2, 2));
    oauth::expire(&store.db, at + 1).await.unwrap();
    assert_eq!(rows().await, (2, 2, 1), "the access token has expired");
    let later = now + 30 * DAY_MS;
    oauth::expire(&store.db, later).await.unwrap();
    assert_eq!(rows().await, (1, 0, 1), "what nobody exchanged is gone");
    let renewed = rotate(&store, &pair.refresh, later).await.unwrap();
    oauth::expire(&store.db, later + 7 * DAY_MS).await.unwrap();
    assert_eq!(rows().await, (1, 0, 2), "a second use is still noticed");
    oauth::expire(&store.db, later + 7 * DAY_MS + 1).await.unwrap();
    assert_eq!(rows().await, (1, 0, 1));
    assert!(rotate(&store, &renewed.refresh, later).await.is_some());

    let ended =
        event::Draft { id: Some(event.id), end: "2026-01-01T00:00".into(), ..event_draft() };
    let ended = store.save_event(&ended).await.unwrap();
    oauth::expire(&store.db, ended.ends_at + 7 * DAY_MS).await.unwrap();
    assert_eq!(store.number("select count(*) from oauth_grant").await, 1);
    oauth::expire(&store.db, ended.ends_at + 7 * DAY_MS + 1).await.unwrap();
    assert_eq!(rows().await, (0, 0, 0));
}

async fn a_client_that_refreshes_without_an_end_is_ended_before_it_fills_the_store(store: Store) {
    let (attendee, now) = (attendee(&store).await, now_ms());
    let other = tokens(&store, &attendee).await;
    let mut last = tokens(&store, &attendee).await;
    let mut refreshed = 0;
    while let Some(pair) = rotate(&store, &last.refresh, now + refreshed).await {
        (last, refreshed) = (pair, refreshed + 1);
        assert!(refreshed < 1_000, "without an end");
        if refreshed == 400 {
            assert_eq!(store.number("select count(*) from oauth_token").await, 2 + 401 + 32);
        }
    }
    assert_eq!(refreshed, 499);
    assert!(!is_good(&store, &last.access).await, "signed out");
    assert!(is_good(&store, &other.access).await, "another grant");
}

async fn a_thief_who_refreshes_without_an_end_hides_nothing(store: Store) {
    let (attendee, now) = (attendee(&store).await, now_ms());
    let stolen = tokens(&store, &attendee).await;
    let mut thiefs = rotate(&store, &stolen.refresh, now).await.unwrap();
    for n in 0..100 {
        thiefs = rotate(&store, &thiefs.refresh, now + n).await.unwrap();
    }
    let late = now + GRACE_MS + 1;
    assert!(rotate(&store, &stolen.refresh, late).await.is_none());
    assert!(!is_good(&store, &thiefs.access).await, "a second use ends all of it");
}

async fn who_only_typed_a_name_takes_no_other_grants_place(store: Store) {
    let attendee = attendee(&store).await;
    let theirs = tokens(&store, &attendee).await;
    let named = NewGrant { is_proven: false, ..grant(&attendee) };
    for n in 1..=60 {
        let made = oauth::authorize(&store.db, &store.vault, &named, &CODE, now_ms()).await;
        let is_refused = matches!(made, Err(Error::Conflict { .. }));
        assert_eq!(is_refused, n > 24, "{n}: {made:?}");
    }
    for _ in 0..20 {
        authorize(&store, &attendee, now_ms()).await;
    }
    assert!(is_good(&store, &theirs.access).await);
}

async fn nobody_allows_anything_in_a_session_that_has_ended(store: Store) {
    let event = store.event().await;
    let issued = store.issue(&event, 2).await;
    let (ada, bob) = (&issued[0].attendee_id, &issued[1].attendee_id);
    sign_in(&store).await;
    let in_session = async |session_id| {
        let new = NewGrant { session_id, ..grant(ada) };
        oauth::authorize(&store.db, &store.vault, &new, &CODE, now_ms()).await
    };
    in_session(ada).await.unwrap();
    for other in [bob, "0000"] {
        let refused = in_session(other).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{other}: {refused:?}");
    }
    store.execute("delete from attendee_session").await;
    assert!(matches!(in_session(ada).await, Err(Error::Conflict { .. })));
    assert_eq!(store.number("select count(*) from oauth_grant").await, 1);
}

async fn a_refresh_token_that_nobody_uses_is_kept_for_a_month(store: Store) {
    let (attendee, now) = (attendee(&store).await, now_ms());
    let code = authorize(&store, &attendee, now).await;
    redeem(&store, &code, now).await.unwrap();
    let kept = "select count(*) from oauth_token where kind = 'refresh'";
    oauth::expire(&store.db, now + 30 * DAY_MS).await.unwrap();
    assert_eq!(store.number(kept).await, 1);
    oauth::expire(&store.db, now + 30 * DAY_MS + 1).await.unwrap();
    assert_eq!(store.number(kept).await, 0);
}
