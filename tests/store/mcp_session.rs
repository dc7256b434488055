//! A session belongs to the attendee who opened it, on all replicas.

use ai_proxy::catalog::mcp_session::{self, Claim, Session};
use ai_proxy::catalog::{Digest, attendee, event};

use crate::harness::{Store, event_draft, on_both};

on_both![
    of_many_who_claim_one_id_exactly_one_gets_it,
    a_claim_lasts_until_it_is_released,
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
fn session(id: &str, attendee_id: &str) -> Session {
    Session { endpoint: digest("e"), id: digest(id), attendee_id: attendee_id.into() }
}

async fn claim(store: &Store, id: &str, who: &str, now: i64) -> Claim {
    mcp_session::claim(&store.db, &session(id, who), now).await.unwrap()
}

async fn release(store: &Store, id: &str, who: &str) {
    mcp_session::release(&store.db, &session(id, who)).await.unwrap();
}

async fn bind(store: &Store, issued: &[(&str, &str)], now: i64) -> Vec<bool> {
    let issued: Vec<_> = issued.iter().map(|(id, who)| session(id, who)).collect();
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
        assert_eq!(claims.iter().filter(|claim| **claim == Claim::New).count(), 1);
        assert_eq!(claims.iter().filter(|claim| **claim == Claim::Foreign).count(), 15);
    }
    replica.db.close().await;
}

async fn a_claim_lasts_until_it_is_released(store: Store) {
    let claim = |who| claim(&store, "s", who, NOW);
    assert_eq!(claim("ada").await, Claim::New);
    assert_eq!(claim("ada").await, Claim::Mine);
    assert_eq!(claim("bob").await, Claim::Foreign);
    release(&store, "s", "bob").await;
    assert_eq!(claim("bob").await, Claim::Foreign, "bob has nothing to release");
    release(&store, "s", "ada").await;
    assert_eq!(claim("bob").await, Claim::New);
    let elsewhere = Session { endpoint: digest("another"), ..session("s", "ada") };
    let elsewhere = mcp_session::claim(&store.db, &elsewhere, NOW).await.unwrap();
    assert_eq!(elsewhere, Claim::New, "another backend's session of the same id");
}

async fn an_ended_session_is_nobodys_until_the_backend_issues_it_anew(store: Store) {
    let claim = |who| claim(&store, "s", who, NOW);
    let bind = async |who| bind(&store, &[("s", who)], NOW).await[0];
    assert!(bind("ada").await, "new");
    assert!(bind("ada").await, "mine");
    assert!(!bind("bob").await, "live and another's");
    assert_eq!(claim("bob").await, Claim::Foreign);
    end(&store, &[("s", "bob")]).await;
    assert_eq!(claim("ada").await, Claim::Mine, "bob cannot end it");
    end(&store, &[("s", "ada")]).await;
    assert_eq!(claim("ada").await, Claim::Ended);
    assert_eq!(claim("bob").await, Claim::Ended);
    release(&store, "s", "ada").await;
    assert_eq!(claim("bob").await, Claim::Ended, "a tombstone is not released");
    assert!(bind("bob").await, "over a tombstone");
    assert_eq!(claim("bob").await, Claim::Mine);
    assert_eq!(claim("ada").await, Claim::Foreign);
}

async fn idle_sessions_end_and_tombstones_go_after_thirty_days(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0).attendee_id;
    let claim = |id, now| claim(&store, id, &ada, now);
    for id in ["idle", "used"] {
        assert_eq!(claim(id, NOW).await, Claim::New);
    }
    assert_eq!(claim("used", NOW + HOUR).await, Claim::Mine, "noted as used");
    assert_eq!(claim("used", NOW).await, Claim::Mine, "and not set back");

    let later = NOW + DAY + 1;
    assert_eq!(claim("idle", later).await, Claim::Ended, "also before it is swept");
    mcp_session::expire(&store.db, later).await.unwrap();
    assert_eq!(claim("idle", later).await, Claim::Ended);
    assert_eq!(claim("used", later).await, Claim::Mine);

    mcp_session::expire(&store.db, later + 30 * DAY).await.unwrap();
    assert_eq!(claim("idle", later + 30 * DAY).await, Claim::Ended, "kept for thirty days");
    mcp_session::expire(&store.db, later + 30 * DAY + 1).await.unwrap();
    assert_eq!(claim("idle", later + 30 * DAY + 1).await, Claim::New);
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
        assert_eq!(claim(&store, id, whose, NOW).await, Claim::Mine, "{id}");
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
        assert_eq!(claim(&store, id, whose, NOW).await, Claim::Ended, "{id}");
    }
    for (id, whose) in live {
        assert_eq!(claim(&store, id, whose, NOW).await, Claim::Mine, "{id}");
    }
}

async fn sessions_end_with_their_attendee_and_event(store: Store) {
    let event = store.event().await;
    let over = event::Draft { end: "2020-01-02T09:00".into(), ..event_draft() };
    let over = store.save_event(&over).await.unwrap();
    let off = event::Draft { active: false, ..event_draft() };
    let off = store.save_event(&off).await.unwrap();
    let mut issued = store.issue(&event, 3).await.into_iter().map(|new| new.attendee_id);
    let (stays, deleted, disabled) =
        (issued.next().unwrap(), issued.next().unwrap(), issued.next().unwrap());
    let of_over = store.issue(&over, 1).await.remove(0).attendee_id;
    let of_off = store.issue(&off, 1).await.remove(0).attendee_id;
    let claim = async |attendee: &str| claim(&store, attendee, attendee, NOW).await;
    for attendee in [&stays, &deleted, &disabled, &of_over, &of_off] {
        assert_eq!(claim(attendee).await, Claim::New);
    }
    attendee::delete(&store.db, &store.by, &deleted).await.unwrap();
    attendee::set_active(&store.db, &store.by, &disabled, false).await.unwrap();
    mcp_session::expire(&store.db, NOW).await.unwrap();
    assert_eq!(claim(&stays).await, Claim::Mine);
    for attendee in [&deleted, &disabled, &of_over, &of_off] {
        assert_eq!(claim(attendee).await, Claim::Ended);
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
    assert_eq!(claim(-1, "bob").await, Claim::New, "another's do not count");
    assert_eq!(store.number(live).await, 1001);
    // By the clock of a replica that is behind, the new one is the oldest: it stays.
    assert_eq!(claim(1000, "ada").await, Claim::New);
    assert_eq!(store.number(live).await, 1001);
    assert_eq!(claim(0, "ada").await, Claim::Ended);
    assert_eq!(claim(1000, "ada").await, Claim::Mine);
    let issued = [("1001", "ada"), ("1002", "bob"), ("1003", "ada")];
    assert_eq!(bind(&store, &issued, NOW + 9999).await, [true, true, true]);
    assert_eq!(store.number(live).await, 1004);
    let made = issued.map(|(id, who)| session(id, who));
    mcp_session::make_room(&store.db, &made, NOW + 9999).await.unwrap();
    assert_eq!(store.number(live).await, 1002, "a thousand of ada's, two of bob's");
    assert_eq!(claim(1001, "ada").await, Claim::Mine);
    assert_eq!(claim(1003, "ada").await, Claim::Mine);
    assert_eq!(claim(1, "ada").await, Claim::Ended);
    assert_eq!(claim(2, "ada").await, Claim::Mine);
}
