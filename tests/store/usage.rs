//! What is metered is added up, once, whoever writes it.

use std::sync::Arc;
use std::time::Duration;

use ai_proxy::catalog::usage::{
    self, AttendeeDay, Batch, Figures, LiveFigures, OperationUsage, Refusal, UsageKey,
};
use ai_proxy::catalog::{attendee, event, quota};
use ai_proxy::clock::now_ms;

use crate::harness::{Store, on_both};

on_both![
    each_figure_is_added_to_its_own_column,
    an_attendee_sees_their_day_by_tool,
    an_attendees_day_is_what_was_spent_of_their_cap,
    what_an_attendee_did_is_noted_and_never_set_back,
    figures_of_a_deleted_event_are_dropped_and_the_rest_is_kept,
    what_goes_back_can_be_leased_again,
    a_batch_counts_once_however_often_it_is_sent,
    replicas_that_flush_at_once_add_up,
    what_goes_on_now_is_told_of_the_last_minute_and_of_people,
];

const MINUTE: i64 = 60_000;
const DAY: u32 = 20_000;
const MIDNIGHT: i64 = DAY as i64 * 86_400_000;

fn key(event: &str, attendee: &str, name: &str, minute: i64) -> UsageKey {
    UsageKey {
        event_id: event.into(),
        attendee_id: attendee.into(),
        resource_id: "mcp-demo".into(),
        operation: "tools/call".into(),
        name: name.into(),
        minute,
    }
}

fn calls(times_ms: &[u64]) -> Figures {
    let mut figures = Figures::default();
    for ms in times_ms {
        figures.add_call(Duration::from_millis(*ms), *ms % 2 == 1);
    }
    figures
}

async fn flush_usage<const N: usize>(store: &Store, usage: [(UsageKey, Figures); N]) {
    let mut batch = Batch::new();
    batch.usage = usage.into();
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
}

async fn each_figure_is_added_to_its_own_column(store: Store) {
    let event = store.event().await;
    let mut figures = Figures { prompt_tokens: 7, completion_tokens: 11, ..Figures::default() };
    for (index, bucket) in (1..).zip(&mut figures.buckets) {
        *bucket = index;
    }
    (figures.requests, figures.errors, figures.total_ms) = (105, 3, 9000);
    let usage = [(key(&event.id, "ada", "echo", MIDNIGHT), figures)];
    for _ in 0..2 {
        flush_usage(&store, usage.clone()).await;
    }
    for (column, expected) in [
        ("select requests from usage", 105),
        ("select errors from usage", 3),
        ("select prompt_tokens from usage", 7),
        ("select completion_tokens from usage", 11),
        ("select total_ms from usage", 9000),
        ("select le_5 from usage", 1),
        ("select le_10 from usage", 2),
        ("select le_25 from usage", 3),
        ("select le_50 from usage", 4),
        ("select le_100 from usage", 5),
        ("select le_250 from usage", 6),
        ("select le_500 from usage", 7),
        ("select le_1000 from usage", 8),
        ("select le_2500 from usage", 9),
        ("select le_5000 from usage", 10),
        ("select le_10000 from usage", 11),
        ("select le_30000 from usage", 12),
        ("select le_60000 from usage", 13),
        ("select le_inf from usage", 14),
    ] {
        assert_eq!(store.number(column).await, 2 * expected, "{column}");
    }
}

async fn an_attendee_sees_their_day_by_tool(store: Store) {
    let event = store.event().await;
    let resource = store.resource("mcp-demo").await.id;
    let key = |event: &str, attendee: &str, name: &str, minute| UsageKey {
        resource_id: resource.clone(),
        ..key(event, attendee, name, minute)
    };
    let usage = [
        (key(&event.id, "ada", "echo", MIDNIGHT - MINUTE), calls(&[1])),
        (key(&event.id, "ada", "echo", MIDNIGHT), calls(&[1, 2])),
        (key(&event.id, "ada", "echo", MIDNIGHT + MINUTE), calls(&[3])),
        (key(&event.id, "ada", "add", MIDNIGHT + 86_400_000 - MINUTE), calls(&[2])),
        (key(&event.id, "ada", "echo", MIDNIGHT + 86_400_000), calls(&[1])),
        (key(&event.id, "bob", "echo", MIDNIGHT), calls(&[1])),
    ];
    flush_usage(&store, usage).await;
    let line = |name: &str, requests, errors| OperationUsage {
        deployment: "mcp-demo".into(),
        operation: "tools/call".into(),
        name: name.into(),
        requests,
        errors,
        prompt_tokens: 0,
        completion_tokens: 0,
    };
    let lines = usage::of_attendee(&store.db, "ada", DAY).await.unwrap();
    assert_eq!(lines, [line("add", 1, 0), line("echo", 3, 2)]);
    assert!(usage::of_attendee(&store.db, "ada", DAY + 2).await.unwrap().is_empty());
}

async fn an_attendees_day_is_what_was_spent_of_their_cap(store: Store) {
    let event = store.event().await;
    let mut issued = store.issue(&event, 2).await;
    let (ada, bob) = (issued.remove(0).attendee_id, issued.remove(0).attendee_id);
    let of = async |id: &str, day| usage::attendee_day(&store.db, id, day).await.unwrap();
    let fresh = AttendeeDay {
        used: 0,
        limit: event.daily_request_cap,
        operations: Vec::new(),
        last_refusal: None,
    };
    assert_eq!(of(&ada, DAY).await, Some(fresh.clone()));
    quota::lease(&store.db, &ada, DAY, 5, 100).await.unwrap();
    let mut batch = Batch::new();
    batch.spent = [((ada.as_str().into(), DAY), 2)].into();
    batch.refusals = [(ada.as_str().into(), ("rate_limited", 3000))].into();
    batch.usage = [(key(&event.id, &ada, "echo", MIDNIGHT), calls(&[1, 2]))].into();
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
    attendee::set_cap(&store.db, &store.by, &ada, Some(7)).await.unwrap();
    let day = of(&ada, DAY).await.unwrap();
    assert_eq!((day.used, day.limit), (2, 7), "what is leased was not spent");
    assert_eq!(day.operations, usage::of_attendee(&store.db, &ada, DAY).await.unwrap());
    assert_eq!(day.operations[0].requests, 2);
    assert_eq!(day.last_refusal, Some(Refusal { code: "rate_limited".into(), at: 3000 }));
    let next = of(&ada, DAY + 1).await.unwrap();
    assert_eq!((next.used, next.operations), (0, Vec::new()));
    assert_eq!(of(&bob, DAY).await, Some(fresh));
    assert_eq!(of("nobody", DAY).await, None);
    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    assert_eq!(of(&ada, DAY).await, None, "the event was deleted");
}

async fn what_an_attendee_did_is_noted_and_never_set_back(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0).attendee_id;
    quota::lease(&store.db, &ada, DAY, 5, 5).await.unwrap();
    let batch = |seen, code, at| {
        let mut batch = Batch::new();
        batch.spent = [((ada.as_str().into(), DAY), 2)].into();
        batch.seen = [(ada.as_str().into(), seen)].into();
        batch.refusals = [(ada.as_str().into(), (code, at))].into();
        batch
    };
    usage::flush(&store.db, &batch(2000, "rate_limited", 3000), now_ms()).await.unwrap();
    usage::flush(&store.db, &batch(1000, "invalid_path", 2999), now_ms()).await.unwrap();
    let mut only_seen = Batch::new();
    only_seen.seen = [(ada.as_str().into(), 2001)].into();
    usage::flush(&store.db, &only_seen, now_ms()).await.unwrap();
    let list = attendee::list(&store.db, &store.by.owner_id, &event.id).await.unwrap();
    assert_eq!(list[0].last_seen_at, Some(2001));
    assert_eq!(
        (list[0].last_error.as_deref(), list[0].last_error_at),
        (Some("rate_limited"), Some(3000))
    );
    assert_eq!(quota::used(&store.db, &ada, DAY).await.unwrap(), 4);
    assert_eq!(quota::used(&store.db, &ada, DAY + 1).await.unwrap(), 0);
    let lease = quota::lease(&store.db, &ada, DAY, 1, 6).await.unwrap().unwrap();
    assert_eq!((lease.granted, lease.spent), (6, 4));
}

async fn figures_of_a_deleted_event_are_dropped_and_the_rest_is_kept(store: Store) {
    let (gone, stays) = (store.event().await, store.event().await);
    let usage = [
        (key(&gone.id, "ada", "echo", MIDNIGHT), calls(&[1])),
        (key(&stays.id, "bob", "echo", MIDNIGHT), calls(&[1])),
    ];
    let batch = || {
        let mut batch = Batch::new();
        batch.usage = usage.clone().into();
        batch.seen = [("nobody".into(), 1)].into();
        batch.spent = [(("nobody".into(), DAY), 1)].into();
        batch
    };
    usage::flush(&store.db, &batch(), now_ms()).await.unwrap();
    event::delete(&store.db, &store.by, &gone.id).await.unwrap();
    usage::flush(&store.db, &batch(), now_ms()).await.unwrap();
    store.purge().await;
    assert_eq!(store.number("select cast(sum(requests) as bigint) from usage").await, 2);
    assert_eq!(store.number("select count(*) from quota").await, 0);
}

async fn what_goes_back_can_be_leased_again(store: Store) {
    let lease = |n| quota::lease(&store.db, "ada", DAY, n, 5);
    lease(5).await.unwrap().unwrap();
    let mut batch = Batch::new();
    batch.spent = [(("ada".into(), DAY), 3)].into();
    batch.returned = [(("ada".into(), DAY), 2)].into();
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
    assert_eq!(lease(3).await.unwrap(), None, "only two went back");
    let again = lease(2).await.unwrap().unwrap();
    assert_eq!((again.granted, again.spent), (5, 3));
}

/// As a replica does that does not know whether its first try arrived.
async fn a_batch_counts_once_however_often_it_is_sent(store: Store) {
    quota::lease(&store.db, "ada", DAY, 5, 5).await.unwrap();
    let mut batch = Batch::new();
    batch.returned = [(("ada".into(), DAY), 1)].into();
    let replica = store.replica().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let db = if n % 2 == 0 { store.db.clone() } else { replica.db.clone() };
            let batch = batch.clone();
            tokio::spawn(async move { usage::flush(&db, &batch, now_ms()).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.number("select granted from quota").await, 4);
    usage::forget_batches(&store.db, 0).await.unwrap();
    assert_eq!(store.number("select count(*) from flush").await, 1);
    usage::forget_batches(&store.db, i64::MAX).await.unwrap();
    assert_eq!(store.number("select count(*) from flush").await, 0);
    replica.db.close().await;
}

/// Two replicas write the same rows at once, of each attendee some in one half
/// of a batch and some in the other. They must not wait for each other crosswise.
async fn replicas_that_flush_at_once_add_up(store: Store) {
    let event = store.event().await;
    let attendees: Vec<Arc<str>> =
        store.issue(&event, 30).await.into_iter().map(|new| new.attendee_id.into()).collect();
    for attendee in &attendees {
        quota::lease(&store.db, attendee, DAY, 100, 100).await.unwrap();
    }
    let replica = store.replica().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let db = if n % 2 == 0 { store.db.clone() } else { replica.db.clone() };
            let (event_id, attendees) = (event.id.clone(), attendees.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let [mut figures, mut quotas, mut notes] =
                        std::array::from_fn(|_| Batch::new());
                    for (index, attendee) in attendees.iter().enumerate() {
                        let key = key(&event_id, attendee, "echo", MIDNIGHT);
                        figures.usage.insert(key, calls(&[1]));
                        if index % 2 == n % 2 {
                            quotas.spent.insert((attendee.clone(), DAY), 1);
                            notes.seen.insert(attendee.clone(), n as i64);
                        } else {
                            quotas.returned.insert((attendee.clone(), DAY), 1);
                            notes.refusals.insert(attendee.clone(), ("rate_limited", n as i64));
                        }
                    }
                    for batch in [figures, quotas, notes] {
                        usage::flush(&db, &batch, now_ms()).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all = 30 * 8 * 5;
    assert_eq!(store.number("select cast(sum(requests) as bigint) from usage").await, all);
    assert_eq!(store.number("select min(spent) from quota").await, 4 * 5);
    assert_eq!(store.number("select max(granted) from quota").await, 100 - 4 * 5);
    assert_eq!(store.number("select min(last_seen_at) from attendee").await, 6);
    assert_eq!(store.number("select min(last_error_at) from attendee").await, 6);
    replica.db.close().await;
}

#[test]
fn a_call_falls_into_the_first_bucket_it_fits() {
    let buckets = |took| {
        let mut figures = Figures::default();
        figures.add_call(took, false);
        figures.buckets.iter().position(|count| *count == 1).unwrap()
    };
    for (took, bucket) in [
        (Duration::ZERO, 0),
        (Duration::from_millis(5), 0),
        (Duration::from_micros(5001), 1),
        (Duration::from_millis(60_000), 12),
        (Duration::from_micros(60_000_001), 13),
        (Duration::from_secs(86_400), 13),
    ] {
        assert_eq!(buckets(took), bucket, "{took:?}");
    }
}

#[test]
fn figures_add_up() {
    let mut sum = calls(&[1, 20]);
    sum.add(&Figures { prompt_tokens: 3, completion_tokens: 4, ..calls(&[70_000]) });
    assert_eq!((sum.requests, sum.errors, sum.total_ms), (3, 1, 70_021));
    assert_eq!((sum.prompt_tokens, sum.completion_tokens), (3, 4));
    assert_eq!((sum.buckets[0], sum.buckets[2], sum.buckets[13]), (1, 1, 1));
}

async fn what_goes_on_now_is_told_of_the_last_minute_and_of_people(store: Store) {
    let event = store.event().await;
    let ids: Vec<String> =
        store.issue(&event, 4).await.into_iter().map(|issued| issued.attendee_id).collect();
    let now = MIDNIGHT + 15_000;
    let mut batch = Batch::new();
    // The fourth has never called; the third was only refused; for the second nothing worked.
    batch.seen = [(0, now - 1_000), (1, now - 5 * MINUTE), (2, now - 5 * MINUTE - 1)]
        .map(|(n, at)| (ids[n].as_str().into(), at))
        .into();
    batch.usage = [
        (key(&event.id, &ids[0], "echo", MIDNIGHT - 2 * MINUTE), calls(&[2, 2])),
        (key(&event.id, &ids[0], "echo", MIDNIGHT - MINUTE), calls(&[2, 2, 2, 1])),
        (key(&event.id, &ids[0], "echo", MIDNIGHT), calls(&[2, 2, 2])),
        (key(&event.id, &ids[1], "echo", MIDNIGHT), calls(&[1, 1])),
    ]
    .into();
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
    let live = usage::live(&store.db, &store.by.owner_id, &event.id, now).await.unwrap();
    let expected = LiveFigures {
        active: 2,
        // Three quarters of the minute before: of four calls, and of one error, rounded up.
        calls: 3 + 5,
        errors: 1 + 2,
        registered: 4,
        connected: 3,
        succeeded: 1,
    };
    assert_eq!(live, expected);
    assert_eq!(live.stuck(), 2);
    let other = store.another_owner().await;
    let foreign = usage::live(&store.db, &other.owner_id, &event.id, now).await.unwrap();
    assert_eq!(foreign, LiveFigures::default());
}
