//! A session belongs to the attendee who opened it, on all replicas.

use ai_proxy::catalog::mcp_session::changes::{self, Since};
use ai_proxy::catalog::mcp_session::{self, Found, IssuedSession, McpSession, Mine, SessionClaim};
use ai_proxy::catalog::snapshot::Snapshot;
use ai_proxy::catalog::{Digest, attendee, event};
use ai_proxy::catalog::{resource, session_mark};
use ai_proxy::clock::{day_of, now_ms};
use secrecy::ExposeSecret;

use crate::harness::{Store, event_draft, on_both, resource_draft};

on_both![
    of_many_who_claim_one_id_exactly_one_gets_it,
    a_claim_lasts_until_it_is_released,
    of_one_id_at_two_origins_nobody_has_what_another_holds,
    a_proven_claim_is_not_released,
    a_look_writes_nothing,
    a_session_is_taken_over_where_the_backend_issues_it_anew,
    what_ended_or_was_taken_over_is_counted,
    a_mark_goes_with_its_endpoint,
    affinity_is_kept_with_the_session_and_renewed,
    tombstones_are_ten_thousand_at_most,
    an_ended_session_is_nobodys_until_the_backend_issues_it_anew,
    idle_sessions_end_and_tombstones_go_after_thirty_days,
    an_idle_session_may_be_issued_anew_before_it_is_swept,
    of_many_issued_at_once_each_has_its_own_fate,
    of_many_ended_at_once_only_those_of_their_attendees_are,
    sessions_end_with_their_attendee_and_event,
    the_longest_idle_of_a_thousand_and_one_gives_way,
];

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Somewhere in 2026.
const NOW: i64 = 1_795_000_000_000;

fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

/// The session of that id, for that attendee.
fn session(id: &str, attendee_id: &str) -> McpSession {
    McpSession { endpoint: digest("e"), id: digest(id), attendee_id: attendee_id.into() }
}

async fn claim(store: &Store, id: &str, who: &str, now: i64) -> SessionClaim {
    mcp_session::claim(&store.db, &session(id, who), now).await.unwrap()
}

/// The attendee's own session, proven or not, without cookies.
fn mine(is_proven: bool) -> SessionClaim {
    SessionClaim::Mine(Mine { is_proven, affinity: None })
}

async fn release(store: &Store, id: &str, who: &str) {
    mcp_session::release(&store.db, &session(id, who)).await.unwrap();
}

async fn bind(store: &Store, issued: &[(&str, &str)], now: i64) -> Vec<bool> {
    let issued: Vec<IssuedSession> =
        issued.iter().map(|(id, who)| session(id, who).into()).collect();
    let mut connection = store.db.writer().acquire().await.unwrap();
    mcp_session::bind(&mut connection, &issued, now).await.unwrap()
}

async fn end(store: &Store, ended: &[(&str, &str)]) {
    let ended: Vec<_> = ended.iter().map(|(id, who)| session(id, who)).collect();
    let mut connection = store.db.writer().acquire().await.unwrap();
    mcp_session::end(&mut connection, &ended, NOW).await.unwrap();
}

async fn of_many_who_claim_one_id_exactly_one_gets_it(store: Store) {
    let replica = store.replica().await;
    for round in 0..20 {
        let id = format!("session {round}");
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let db = if n % 2 == 0 { store.db.clone() } else { replica.db.clone() };
                let session = session(&id, &format!("attendee {n}"));
                tokio::spawn(async move { mcp_session::claim(&db, &session, NOW).await.unwrap() })
            })
            .collect();
        let mut claims = Vec::new();
        for task in tasks {
            claims.push(task.await.unwrap());
        }
        assert_eq!(claims.iter().filter(|claim| **claim == SessionClaim::New).count(), 1);
        assert_eq!(claims.iter().filter(|claim| **claim == SessionClaim::Foreign).count(), 15);
    }
    replica.db.close().await;
}

async fn a_claim_lasts_until_it_is_released(store: Store) {
    let claim = |who| claim(&store, "s", who, NOW);
    assert_eq!(claim("ada").await, SessionClaim::New);
    assert_eq!(claim("ada").await, mine(false));
    assert_eq!(claim("bob").await, SessionClaim::Foreign);
    release(&store, "s", "bob").await;
    assert_eq!(claim("bob").await, SessionClaim::Foreign, "bob has nothing to release");
    release(&store, "s", "ada").await;
    assert_eq!(claim("bob").await, SessionClaim::New);
}

async fn of_one_id_at_two_origins_nobody_has_what_another_holds(store: Store) {
    let at = |origin: &str, who: &str| McpSession { endpoint: digest(origin), ..session("s", who) };
    let claim =
        async |origin, who| mcp_session::claim(&store.db, &at(origin, who), NOW).await.unwrap();
    assert_eq!(claim("localhost", "ada").await, SessionClaim::New);
    assert_eq!(claim("127.0.0.1", "bob").await, SessionClaim::Foreign);
    let looked = mcp_session::look(&store.db, &at("127.0.0.1", "bob"), NOW).await.unwrap();
    assert_eq!(looked, Found::Foreign);
    assert_eq!(claim("127.0.0.1", "ada").await, SessionClaim::New, "her own she may have twice");
    mcp_session::release(&store.db, &at("localhost", "ada")).await.unwrap();
    mcp_session::release(&store.db, &at("127.0.0.1", "ada")).await.unwrap();
    assert_eq!(claim("127.0.0.1", "bob").await, SessionClaim::New);

    // At once, by two replicas.
    let replica = store.replica().await;
    for round in 0..10 {
        let session = |origin: &str, who: &str| McpSession {
            endpoint: digest(origin),
            ..session(&format!("contested {round}"), who)
        };
        let (ada, bob) = (session("localhost", "ada"), session("127.0.0.1", "bob"));
        let (one, other) = tokio::join!(
            mcp_session::claim(&store.db, &ada, NOW),
            mcp_session::claim(&replica.db, &bob, NOW),
        );
        let mut claims = [one.unwrap(), other.unwrap()];
        claims.sort_by_key(|claim| *claim == SessionClaim::New);
        assert_eq!(claims, [SessionClaim::Foreign, SessionClaim::New]);
    }
    replica.db.close().await;
}

async fn a_proven_claim_is_not_released(store: Store) {
    assert_eq!(claim(&store, "s", "ada", NOW).await, SessionClaim::New);
    assert!(!mcp_session::prove(&store.db, &session("s", "bob"), NOW).await.unwrap());
    assert!(mcp_session::prove(&store.db, &session("s", "ada"), NOW).await.unwrap());
    release(&store, "s", "ada").await;
    assert_eq!(claim(&store, "s", "ada", NOW).await, mine(true));
    assert_eq!(claim(&store, "s", "bob", NOW).await, SessionClaim::Foreign);

    // The request that made it was not sent, while another was under way.
    for (id, meanwhile) in [("free", false), ("taken", true)] {
        assert_eq!(claim(&store, id, "ada", NOW).await, SessionClaim::New);
        release(&store, id, "ada").await;
        if meanwhile {
            assert_eq!(claim(&store, id, "bob", NOW).await, SessionClaim::New);
        }
        let proven = mcp_session::prove(&store.db, &session(id, "ada"), NOW).await.unwrap();
        assert_eq!(proven, !meanwhile, "{id}");
    }
    assert_eq!(claim(&store, "free", "ada", NOW).await, mine(true));
    assert_eq!(claim(&store, "taken", "ada", NOW).await, SessionClaim::Foreign);
}

async fn a_look_writes_nothing(store: Store) {
    let look =
        async |who, now| mcp_session::look(&store.db, &session("s", who), now).await.unwrap();
    assert_eq!(look("ada", NOW).await, Found::Unseen);
    assert_eq!(store.number("select count(*) from mcp_session").await, 0);
    claim(&store, "s", "ada", NOW).await;
    assert_eq!(look("ada", NOW).await, Found::Mine(Mine { is_proven: false, affinity: None }));
    assert_eq!(look("bob", NOW).await, Found::Foreign);
    assert_eq!(look("bob", NOW + DAY + 1).await, Found::Unseen, "an idle claim leaves nothing");
    bind(&store, &[("s", "ada")], NOW).await;
    assert_eq!(look("bob", NOW + DAY + 1).await, Found::Ended);
    end(&store, &[("s", "ada")]).await;
    for who in ["ada", "bob"] {
        assert_eq!(look(who, NOW).await, Found::Ended);
    }
}

async fn a_session_is_taken_over_where_the_backend_issues_it_anew(store: Store) {
    assert!(bind(&store, &[("s", "ada")], NOW).await[0]);
    assert!(!bind(&store, &[("s", "bob")], NOW).await[0]);
    mcp_session::take_over(&store.db, &session("s", "bob").into(), NOW).await.unwrap();
    assert_eq!(claim(&store, "s", "bob", NOW).await, mine(true));
    assert_eq!(claim(&store, "s", "ada", NOW).await, SessionClaim::Foreign);

    claim(&store, "claimed", "ada", NOW).await;
    assert!(bind(&store, &[("claimed", "bob")], NOW).await[0], "a claim proves nothing");
    assert!(!mcp_session::prove(&store.db, &session("claimed", "ada"), NOW).await.unwrap());
    release(&store, "claimed", "ada").await;
    assert_eq!(claim(&store, "claimed", "bob", NOW).await, mine(true));
}

async fn what_ended_or_was_taken_over_is_counted(store: Store) {
    let since = async |known| changes::since(&store.db, known).await.unwrap();
    let key = |id| (digest("e"), digest(id));
    let Since { revision: start, .. } = since(-1).await;
    bind(&store, &[("a", "ada"), ("b", "ada"), ("c", "bob")], NOW).await;
    claim(&store, "claimed", "ada", NOW).await;
    release(&store, "claimed", "ada").await;
    assert_eq!(since(start).await, Since { revision: start, changed: Some(vec![]) });

    end(&store, &[("a", "ada"), ("b", "ada")]).await;
    mcp_session::take_over(&store.db, &session("c", "ada").into(), NOW).await.unwrap();
    let Since { revision, changed } = since(start).await;
    let mut changed = changed.unwrap();
    let mut expected = vec![key("a"), key("b"), key("c")];
    changed.sort_unstable();
    expected.sort_unstable();
    assert_eq!((revision, changed), (start + 3, expected));
    assert_eq!(since(start + 2).await.changed, Some(vec![key("c")]));
    assert_eq!(since(start + 4).await.changed, None, "the store was set back");
    mcp_session::expire(&store.db, NOW + 2 * DAY).await.unwrap();
    assert_eq!(since(revision).await.changed, Some(vec![key("c")]), "that ended by itself");
}

async fn a_mark_goes_with_its_endpoint(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let mark = async || session_mark::of(&store.db, &resource.id).await.unwrap();
    let before = ai_proxy::catalog::change::revision(&store.db).await.unwrap();
    session_mark::set_constant(&store.db, &resource.id, digest("stateless")).await.unwrap();
    session_mark::set_constant(&store.db, &resource.id, digest("stateless")).await.unwrap();
    session_mark::set_large_affinity(&store.db, &resource.id).await.unwrap();
    session_mark::set_large_affinity(&store.db, "no such resource").await.unwrap();
    assert!(ai_proxy::catalog::change::revision(&store.db).await.unwrap() > before);
    assert_eq!(mark().await.constant, Some(digest("stateless")));
    assert!(mark().await.has_large_affinity);
    let snapshot = Snapshot::load(&store.db, &store.vault).await.unwrap();
    assert!(snapshot.is_constant(&resource.id, digest("stateless")));
    assert!(!snapshot.is_constant(&resource.id, digest("another")));

    let draft = |endpoint: &str| resource::Draft {
        id: Some(resource.id.clone()),
        endpoint: endpoint.to_owned(),
        name: "Renamed".to_owned(),
        ..resource_draft("mcp-demo")
    };
    store.save_resource(&draft(&resource.endpoint.as_written())).await.unwrap();
    assert_eq!(mark().await.constant, Some(digest("stateless")), "the endpoint is the same");
    store.save_resource(&draft("http://elsewhere:8000/mcp")).await.unwrap();
    assert_eq!(mark().await, session_mark::Mark::default());
}

async fn affinity_is_kept_with_the_session_and_renewed(store: Store) {
    let session = session("s", "ada");
    let sealed = session.seal_affinity(&store.vault, "lb=1").unwrap();
    assert!(!sealed.contains("lb"));
    let issued = IssuedSession { session: session.clone(), affinity: Some(sealed) };
    let mut connection = store.db.writer().acquire().await.unwrap();
    mcp_session::bind(&mut connection, &[issued], NOW).await.unwrap();
    drop(connection);
    let kept = async || match mcp_session::claim(&store.db, &session, NOW).await.unwrap() {
        SessionClaim::Mine(Mine { affinity, .. }) => affinity.map(|sealed| {
            let opened = session.open_affinity(&store.vault, &sealed).unwrap();
            opened.expose_secret().to_owned()
        }),
        other => panic!("{other:?}"),
    };
    assert_eq!(kept().await.as_deref(), Some("lb=1"));
    let renew = async |who: &str, cookies: Option<&str>| {
        let affinity = cookies.map(|text| session.seal_affinity(&store.vault, text).unwrap());
        let session = McpSession { attendee_id: who.into(), ..session.clone() };
        mcp_session::renew_affinity(&store.db, &[IssuedSession { session, affinity }])
            .await
            .unwrap();
    };
    renew("bob", Some("lb=3")).await;
    assert_eq!(kept().await.as_deref(), Some("lb=1"), "it is not his");
    renew("ada", Some("lb=2")).await;
    assert_eq!(kept().await.as_deref(), Some("lb=2"));
    renew("ada", None).await;
    assert_eq!(kept().await, None);
}

async fn tombstones_are_ten_thousand_at_most(store: Store) {
    let mut tx = store.db.write().await.unwrap();
    sqlx::query(
        "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
            last_seen_at, ended_at)
         with recursive n (i) as (select 1 union all select i + 1 from n where i < 10002)
         select 'e', cast(i as text), 'ada', $1, $1, $1 + i from n",
    )
    .bind(NOW)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    bind(&store, &[("bob's", "bob")], NOW).await;
    end(&store, &[("bob's", "bob")]).await;
    mcp_session::expire(&store.db, NOW).await.unwrap();
    assert_eq!(store.number("select count(*) from mcp_session").await, 10_001);
    let oldest = "select min(ended_at) from mcp_session where attendee_id = 'ada'";
    assert_eq!(store.number(oldest).await, NOW + 3, "the oldest go");
}

async fn an_ended_session_is_nobodys_until_the_backend_issues_it_anew(store: Store) {
    let claim = |who| claim(&store, "s", who, NOW);
    let bind = async |who| bind(&store, &[("s", who)], NOW).await[0];
    assert!(bind("ada").await, "new");
    assert!(bind("ada").await, "mine");
    assert!(!bind("bob").await, "live and another's");
    assert_eq!(claim("bob").await, SessionClaim::Foreign);
    end(&store, &[("s", "bob")]).await;
    assert_eq!(claim("ada").await, mine(true), "bob cannot end it");
    end(&store, &[("s", "ada")]).await;
    assert_eq!(claim("ada").await, SessionClaim::Ended);
    assert_eq!(claim("bob").await, SessionClaim::Ended);
    release(&store, "s", "ada").await;
    assert_eq!(claim("bob").await, SessionClaim::Ended, "a tombstone is not released");
    assert!(bind("bob").await, "over a tombstone");
    assert_eq!(claim("bob").await, mine(true));
    assert_eq!(claim("ada").await, SessionClaim::Foreign);
}

async fn idle_sessions_end_and_tombstones_go_after_thirty_days(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0).attendee_id;
    let claim = |id, now| claim(&store, id, &ada, now);
    for id in ["idle", "used", "unproven"] {
        assert_eq!(claim(id, NOW).await, SessionClaim::New);
        if id != "unproven" {
            assert!(mcp_session::prove(&store.db, &session(id, &ada), NOW).await.unwrap());
        }
    }
    assert_eq!(claim("used", NOW + HOUR).await, mine(true), "noted as used");
    assert_eq!(claim("used", NOW).await, mine(true), "and not set back");

    let later = NOW + DAY + 1;
    assert_eq!(claim("idle", later).await, SessionClaim::Ended, "also before it is swept");
    mcp_session::expire(&store.db, later).await.unwrap();
    assert_eq!(claim("idle", later).await, SessionClaim::Ended);
    assert_eq!(claim("used", later).await, mine(true));
    assert_eq!(claim("unproven", later).await, SessionClaim::New, "it left no tombstone");

    mcp_session::expire(&store.db, later + 30 * DAY).await.unwrap();
    assert_eq!(claim("idle", later + 30 * DAY).await, SessionClaim::Ended, "kept for thirty days");
    mcp_session::expire(&store.db, later + 30 * DAY + 1).await.unwrap();
    assert_eq!(claim("idle", later + 30 * DAY + 1).await, SessionClaim::New);
}

async fn an_idle_session_may_be_issued_anew_before_it_is_swept(store: Store) {
    let bind = async |who, now| bind(&store, &[("s", who)], now).await[0];
    assert!(bind("ada", NOW).await);
    assert!(!bind("bob", NOW + DAY).await);
    assert!(bind("bob", NOW + DAY + 1).await);
}

async fn of_many_issued_at_once_each_has_its_own_fate(store: Store) {
    assert_eq!(bind(&store, &[("live", "ada"), ("ended", "ada")], NOW).await, [true, true]);
    end(&store, &[("ended", "ada")]).await;
    let issued =
        [("new", "bob"), ("live", "bob"), ("ended", "bob"), ("bob's", "bob"), ("new too", "ada")];
    assert_eq!(bind(&store, &issued, NOW).await, [true, false, true, true, true]);
    for (id, whose) in [("new", "bob"), ("live", "ada"), ("ended", "bob"), ("new too", "ada")] {
        assert_eq!(claim(&store, id, whose, NOW).await, mine(true), "{id}");
    }
    assert_eq!(store.number("select count(*) from mcp_session").await, 5, "and nobody's rows");
}

async fn of_many_ended_at_once_only_those_of_their_attendees_are(store: Store) {
    bind(&store, &[("1", "ada"), ("2", "ada"), ("3", "bob"), ("4", "bob"), ("5", "bob")], NOW)
        .await;
    end(&store, &[("1", "ada"), ("2", "bob"), ("4", "bob"), ("never seen", "ada")]).await;
    let ended = [("1", "ada"), ("4", "bob")];
    let live = [("2", "ada"), ("3", "bob"), ("5", "bob")];
    for (id, whose) in ended {
        assert_eq!(claim(&store, id, whose, NOW).await, SessionClaim::Ended, "{id}");
    }
    for (id, whose) in live {
        assert_eq!(claim(&store, id, whose, NOW).await, mine(true), "{id}");
    }
}

async fn sessions_end_with_their_attendee_and_event(store: Store) {
    let event = store.event().await;
    let over = event::Draft { end: "2020-01-02T09:00".into(), ..event_draft() };
    let over = store.save_event(&over).await.unwrap();
    let paused = event::Draft { active: false, ..event_draft() };
    let paused = store.save_event(&paused).await.unwrap();
    let mut issued = store.issue(&event, 3).await.into_iter().map(|new| new.attendee_id);
    let (stays, deleted, disabled) =
        (issued.next().unwrap(), issued.next().unwrap(), issued.next().unwrap());
    let of_over = store.issue(&over, 1).await.remove(0).attendee_id;
    let of_paused = store.issue(&paused, 1).await.remove(0).attendee_id;
    for attendee in [&stays, &deleted, &disabled, &of_over, &of_paused] {
        assert!(bind(&store, &[(attendee, attendee)], NOW).await[0]);
    }
    attendee::delete(&store.db, &store.by, &deleted, day_of(now_ms())).await.unwrap();
    attendee::set_active(&store.db, &store.by, &disabled, false).await.unwrap();
    mcp_session::expire(&store.db, NOW).await.unwrap();
    let claim = async |attendee: &str| claim(&store, attendee, attendee, NOW).await;
    for attendee in [&stays, &disabled, &of_paused] {
        assert_eq!(claim(attendee).await, mine(true), "a pause ends nothing");
    }
    for attendee in [&deleted, &of_over] {
        assert_eq!(claim(attendee).await, SessionClaim::Ended);
    }
}

async fn the_longest_idle_of_a_thousand_and_one_gives_way(store: Store) {
    let mut tx = store.db.write().await.unwrap();
    for n in 0..1000_i64 {
        sqlx::query(
            "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
                last_seen_at, ended_at)
             values ($1, $2, 'ada', $3, $3, null)",
        )
        .bind(digest("e").hex())
        .bind(digest(&n.to_string()).hex())
        .bind(NOW + n)
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    let live = "select count(*) from mcp_session where ended_at is null";
    let claim = async |n: i64, who| claim(&store, &n.to_string(), who, NOW).await;
    assert_eq!(claim(-1, "bob").await, SessionClaim::New, "another's do not count");
    assert_eq!(store.number(live).await, 1001);
    // By the clock of a replica that is behind, the new one is the oldest: it stays.
    assert_eq!(claim(1000, "ada").await, SessionClaim::New);
    assert_eq!(store.number(live).await, 1001);
    assert_eq!(claim(0, "ada").await, SessionClaim::Ended);
    assert_eq!(claim(1000, "ada").await, mine(false));
    let issued = [("1001", "ada"), ("1002", "bob"), ("1003", "ada")];
    assert_eq!(bind(&store, &issued, NOW + 9999).await, [true, true, true]);
    assert_eq!(store.number(live).await, 1004);
    let made = issued.map(|(id, who)| session(id, who));
    mcp_session::make_room(&store.db, &made, NOW + 9999).await.unwrap();
    assert_eq!(store.number(live).await, 1002, "a thousand of ada's, two of bob's");
    assert_eq!(claim(1001, "ada").await, mine(true));
    assert_eq!(claim(1003, "ada").await, mine(true));
    assert_eq!(claim(1, "ada").await, SessionClaim::Ended);
    assert_eq!(claim(2, "ada").await, mine(true));
}
