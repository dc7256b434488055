//! A session belongs to the attendee who opened it, on all replicas.

use ai_proxy::catalog::mcp_session::{self, Claim};
use ai_proxy::catalog::{Digest, attendee, event};

use crate::harness::{Store, event_draft, on_both};

on_both![
    of_many_who_claim_one_id_exactly_one_gets_it,
    a_claim_lasts_until_it_is_released,
    an_ended_session_is_nobodys_until_the_backend_issues_it_anew,
    idle_sessions_end_and_tombstones_go_after_thirty_days,
    an_idle_session_may_be_issued_anew_before_it_is_swept,
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

async fn of_many_who_claim_one_id_exactly_one_gets_it(store: Store) {
    let replica = store.replica().await;
    for round in 0..20 {
        let session = digest(&format!("session {round}"));
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let db = if n % 2 == 0 { store.db.clone() } else { replica.db.clone() };
                let attendee = format!("attendee {n}");
                tokio::spawn(async move {
                    mcp_session::claim(&db, &digest("e"), &session, &attendee, NOW).await.unwrap()
                })
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
    let (endpoint, session) = (digest("e"), digest("s"));
    let claim = |who| mcp_session::claim(&store.db, &endpoint, &session, who, NOW);
    assert_eq!(claim("ada").await.unwrap(), Claim::New);
    assert_eq!(claim("ada").await.unwrap(), Claim::Mine);
    assert_eq!(claim("bob").await.unwrap(), Claim::Foreign);
    mcp_session::release(&store.db, &endpoint, &session, "bob").await.unwrap();
    assert_eq!(claim("bob").await.unwrap(), Claim::Foreign, "bob has nothing to release");
    mcp_session::release(&store.db, &endpoint, &session, "ada").await.unwrap();
    assert_eq!(claim("bob").await.unwrap(), Claim::New);
    let elsewhere =
        mcp_session::claim(&store.db, &digest("another"), &session, "ada", NOW).await.unwrap();
    assert_eq!(elsewhere, Claim::New, "another backend's session of the same id");
}

async fn an_ended_session_is_nobodys_until_the_backend_issues_it_anew(store: Store) {
    let (endpoint, session) = (digest("e"), digest("s"));
    let claim = |who| mcp_session::claim(&store.db, &endpoint, &session, who, NOW);
    let bind = |who| mcp_session::bind(&store.db, &endpoint, &session, who, NOW);
    assert!(bind("ada").await.unwrap(), "new");
    assert!(bind("ada").await.unwrap(), "mine");
    assert!(!bind("bob").await.unwrap(), "live and another's");
    assert_eq!(claim("bob").await.unwrap(), Claim::Foreign);
    mcp_session::end(&store.db, &endpoint, &session, "bob", NOW).await.unwrap();
    assert_eq!(claim("ada").await.unwrap(), Claim::Mine, "bob cannot end it");
    mcp_session::end(&store.db, &endpoint, &session, "ada", NOW).await.unwrap();
    assert_eq!(claim("ada").await.unwrap(), Claim::Ended);
    assert_eq!(claim("bob").await.unwrap(), Claim::Ended);
    mcp_session::release(&store.db, &endpoint, &session, "ada").await.unwrap();
    assert_eq!(claim("bob").await.unwrap(), Claim::Ended, "a tombstone is not released");
    assert!(bind("bob").await.unwrap(), "over a tombstone");
    assert_eq!(claim("bob").await.unwrap(), Claim::Mine);
    assert_eq!(claim("ada").await.unwrap(), Claim::Foreign);
}

async fn idle_sessions_end_and_tombstones_go_after_thirty_days(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0).attendee_id;
    let endpoint = digest("e");
    let (idle, used) = (digest("idle"), digest("used"));
    let claim = async |session, now| {
        mcp_session::claim(&store.db, &endpoint, session, &ada, now).await.unwrap()
    };
    for session in [&idle, &used] {
        assert_eq!(claim(session, NOW).await, Claim::New);
    }
    assert_eq!(claim(&used, NOW + HOUR).await, Claim::Mine, "noted as used");
    assert_eq!(claim(&used, NOW).await, Claim::Mine, "and not set back");

    let later = NOW + DAY + 1;
    assert_eq!(claim(&idle, later).await, Claim::Ended, "also before it is swept");
    mcp_session::expire(&store.db, later).await.unwrap();
    assert_eq!(claim(&idle, later).await, Claim::Ended);
    assert_eq!(claim(&used, later).await, Claim::Mine);

    mcp_session::expire(&store.db, later + 30 * DAY).await.unwrap();
    assert_eq!(claim(&idle, later + 30 * DAY).await, Claim::Ended, "kept for thirty days");
    mcp_session::expire(&store.db, later + 30 * DAY + 1).await.unwrap();
    assert_eq!(claim(&idle, later + 30 * DAY + 1).await, Claim::New);
}

async fn an_idle_session_may_be_issued_anew_before_it_is_swept(store: Store) {
    let (endpoint, session) = (digest("e"), digest("s"));
    let bind = |who, now| mcp_session::bind(&store.db, &endpoint, &session, who, now);
    assert!(bind("ada", NOW).await.unwrap());
    assert!(!bind("bob", NOW + DAY).await.unwrap());
    assert!(bind("bob", NOW + DAY + 1).await.unwrap());
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
    let claim = async |attendee: &str| {
        let (endpoint, session) = (digest("e"), digest(attendee));
        mcp_session::claim(&store.db, &endpoint, &session, attendee, NOW).await.unwrap()
    };
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
    let claim = async |n: i64, who| {
        let session = digest(&n.to_string());
        mcp_session::claim(&store.db, &digest("e"), &session, who, NOW).await.unwrap()
    };
    assert_eq!(claim(-1, "bob").await, Claim::New, "another's do not count");
    assert_eq!(store.number(live).await, 1001);
    // By the clock of a replica that is behind, the new one is the oldest: it stays.
    assert_eq!(claim(1000, "ada").await, Claim::New);
    assert_eq!(store.number(live).await, 1001);
    assert_eq!(claim(0, "ada").await, Claim::Ended);
    assert_eq!(claim(1000, "ada").await, Claim::Mine);
    let issued = digest("1001");
    assert!(mcp_session::bind(&store.db, &digest("e"), &issued, "ada", NOW + 9999).await.unwrap());
    assert_eq!(store.number(live).await, 1001);
}
