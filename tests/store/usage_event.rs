//! What came of an event, as pages read it from what the flush has written.

use std::time::Duration;

use ai_proxy::catalog::event::{self, Event};
use ai_proxy::catalog::usage::breakdown::{self, Sum};
use ai_proxy::catalog::usage::overview::{self, AtCap};
use ai_proxy::catalog::usage::series::{self, Point, Span};
use ai_proxy::catalog::usage::{self, Batch, Figures, Latency, UsageKey};
use ai_proxy::catalog::{attendee, quota};
use ai_proxy::clock::now_ms;

use crate::harness::{Store, on_both};

on_both![
    an_event_without_calls_has_no_figures,
    figures_over_time_count_calls_once_and_attendees_once_in_each_stretch,
    figures_are_broken_down_by_resource_operation_and_attendee,
    sums_say_the_same_as_the_rows_that_they_are_of,
    figures_of_an_event_go_with_it,
    who_has_used_up_their_day_is_counted,
    events_are_listed_with_what_they_come_to,
];

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const MIDNIGHT: i64 = 20_000 * 86_400_000;
const ALWAYS: Span = Span { from: 0, to: i64::MAX };

struct Call<'a> {
    attendee: &'a str,
    resource: &'a str,
    name: &'a str,
    at: i64,
    times_ms: &'a [u64],
}

/// Writes calls as a replica would; those of odd times fail.
async fn flush(store: &Store, event: &Event, calls: &[Call<'_>]) {
    let mut batch = Batch::new();
    for call in calls {
        let key = UsageKey {
            event_id: event.id.as_str().into(),
            attendee_id: call.attendee.into(),
            resource_id: call.resource.into(),
            operation: "tools/call".into(),
            name: call.name.into(),
            minute: call.at,
        };
        let figures: &mut Figures = batch.usage.entry(key).or_default();
        for ms in call.times_ms {
            figures.add_call(Duration::from_millis(*ms), ms % 2 == 1);
            figures.prompt_tokens += 3;
            figures.completion_tokens += 5;
        }
    }
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
}

fn sum(requests: u64, errors: u64) -> Sum {
    Sum { requests, errors, prompt_tokens: 3 * requests, completion_tokens: 5 * requests }
}

fn span(from: i64, to: i64) -> Span {
    Span { from: MIDNIGHT + from, to: MIDNIGHT + to }
}

async fn an_event_without_calls_has_no_figures(store: Store) {
    let event = store.event().await;
    assert_eq!(series::extent(&store.db, &event).await.unwrap(), None);
    assert_eq!(series::by_minute(&store.db, &event, ALWAYS).await.unwrap(), []);
    assert_eq!(series::over(&store.db, &event, &[span(0, HOUR)]).await.unwrap(), []);
    assert_eq!(series::over(&store.db, &event, &[]).await.unwrap(), []);
    assert_eq!(breakdown::by_resource(&store.db, &event, ALWAYS, 9).await.unwrap(), []);
    assert_eq!(breakdown::by_operation(&store.db, &event, ALWAYS, 9).await.unwrap(), []);
    assert_eq!(breakdown::by_attendee(&store.db, &event, ALWAYS, 9).await.unwrap(), []);
}

async fn figures_over_time_count_calls_once_and_attendees_once_in_each_stretch(store: Store) {
    let (event, other) = (store.event().await, store.event().await);
    let call = |attendee, name, at, times_ms| Call {
        attendee,
        resource: "r",
        name,
        at: MIDNIGHT + at,
        times_ms,
    };
    let calls = [
        call("ada", "echo", 0, &[1, 2]),
        call("ada", "add", 0, &[2]),
        call("bob", "echo", 0, &[2]),
        call("bob", "echo", HOUR - MINUTE, &[3]),
        call("cyd", "echo", HOUR, &[4]),
        // From a backup that knew no attendees.
        call("", "restored", HOUR, &[4, 4]),
    ];
    flush(&store, &event, &calls).await;
    flush(&store, &other, &[call("eve", "echo", 0, &[1, 1, 1])]).await;
    assert_eq!(series::extent(&store.db, &event).await.unwrap(), Some(span(0, HOUR + MINUTE)));
    let point = |span, requests, errors, active| Point { span, requests, errors, active };
    assert_eq!(
        series::by_minute(&store.db, &event, span(0, HOUR)).await.unwrap(),
        [point(span(0, MINUTE), 4, 1, 2), point(span(HOUR - MINUTE, HOUR), 1, 1, 1),]
    );
    let hours = [span(-HOUR, 0), span(0, HOUR), span(HOUR, 2 * HOUR)];
    assert_eq!(
        series::over(&store.db, &event, &hours).await.unwrap(),
        [point(hours[1], 5, 2, 2), point(hours[2], 3, 0, 1)]
    );
    let day = [span(0, 24 * HOUR)];
    let points = series::over(&store.db, &event, &day).await.unwrap();
    assert_eq!(points, [point(day[0], 8, 2, 3)]);
}

async fn figures_are_broken_down_by_resource_operation_and_attendee(store: Store) {
    let event = store.event().await;
    let resource = store.resource("demo").await.id;
    let ada = store.issue(&event, 1).await.remove(0).attendee_id;
    let name = attendee::list(&store.db, &store.by.owner_id, &event.id).await.unwrap().remove(0);
    let call = |attendee, resource, name, at, times_ms| Call {
        attendee,
        resource,
        name,
        at: MIDNIGHT + at,
        times_ms,
    };
    let calls = [
        call(&ada, &resource, "echo", 0, &[40, 40, 41]),
        call(&ada, &resource, "add", MINUTE, &[2_000]),
        call("gone", &resource, "echo", 0, &[40]),
        call("gone", "deleted", "echo", 0, &[3, 3]),
        call(&ada, &resource, "echo", HOUR, &[2]),
    ];
    flush(&store, &event, &calls).await;
    let hour = span(0, HOUR);
    let resources = breakdown::by_resource(&store.db, &event, hour, 9).await.unwrap();
    let seen: Vec<_> =
        resources.iter().map(|line| (line.deployment.as_deref(), line.sum)).collect();
    assert_eq!(seen, [(Some("demo"), sum(5, 1)), (None, sum(2, 2))]);
    let percentiles = [50, 95].map(|percent| resources[0].latency.percentile(percent));
    // Four calls between 25 and 50 ms, the third of five at three quarters; one to 2.5 s.
    assert_eq!(percentiles, [Some(44), Some(2_500)]);

    let operations = breakdown::by_operation(&store.db, &event, hour, 9).await.unwrap();
    let seen: Vec<_> = operations
        .iter()
        .map(|line| (line.deployment.as_deref(), &*line.operation, &*line.name, line.sum))
        .collect();
    let expected = [
        (Some("demo"), "tools/call", "echo", sum(4, 1)),
        (None, "tools/call", "echo", sum(2, 2)),
        (Some("demo"), "tools/call", "add", sum(1, 0)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(breakdown::by_operation(&store.db, &event, hour, 2).await.unwrap().len(), 2);

    let attendees = breakdown::by_attendee(&store.db, &event, hour, 9).await.unwrap();
    let who = attendees[0].who.as_ref().unwrap();
    assert_eq!((&who.user_id, attendees[0].sum), (&name.user_id, sum(4, 1)));
    assert_eq!((&attendees[1].who, attendees[1].sum), (&None, sum(3, 2)));
    assert_eq!(attendees.len(), 2);
}

/// More rows than one statement adds, from two replicas, some of them twice.
async fn sums_say_the_same_as_the_rows_that_they_are_of(store: Store) {
    let event = store.event().await;
    let attendees: Vec<String> = (0..37).map(|n| format!("attendee-{n}")).collect();
    let names: Vec<String> = (0..19).map(|n| format!("tool-{n}")).collect();
    let calls: Vec<Call> = (0..400)
        .map(|n| Call {
            attendee: &attendees[n % 37],
            resource: "r",
            name: &names[n % 19],
            at: MIDNIGHT + (n as i64 % 7) * 10 * MINUTE,
            times_ms: &[1, 70, 600_000],
        })
        .collect();
    let replica = store.replica().await;
    flush(&store, &event, &calls).await;
    flush(&replica, &event, &calls[..100]).await;
    for (rows, sums) in [
        (
            "select cast(sum(requests + 3 * errors + 5 * total_ms + 7 * le_5 + 11 * le_100
                + 13 * le_inf) as bigint) from usage",
            "select cast(sum(requests + 3 * errors + 5 * total_ms + 7 * le_5 + 11 * le_100
                + 13 * le_inf) as bigint) from usage_minute",
        ),
        (
            "select cast(sum(requests + 3 * errors + 5 * prompt_tokens + 7 * completion_tokens)
                as bigint) from usage",
            "select cast(sum(requests + 3 * errors + 5 * prompt_tokens + 7 * completion_tokens)
                as bigint) from usage_attendee",
        ),
        (
            "select count(*) from (select distinct minute, name from usage) as rows",
            "select count(*) from usage_minute",
        ),
        (
            "select count(*) from (select distinct minute - minute % 900000, attendee_id
                from usage) as rows",
            "select count(*) from usage_attendee",
        ),
    ] {
        let expected = store.number(rows).await;
        assert!(expected > 30, "{expected}");
        assert_eq!(store.number(sums).await, expected, "{sums}");
    }
    replica.db.close().await;
}

async fn figures_of_an_event_go_with_it(store: Store) {
    let (gone, stays) = (store.event().await, store.event().await);
    let call =
        Call { attendee: "ada", resource: "r", name: "echo", at: MIDNIGHT, times_ms: &[2, 2] };
    let calls = [call];
    for event in [&gone, &stays] {
        flush(&store, event, &calls).await;
    }
    event::delete(&store.db, &store.by, &gone.id).await.unwrap();
    // What a replica had not written yet.
    flush(&store, &gone, &calls).await;
    store.purge().await;
    for table in [
        "select cast(sum(requests) as bigint) from usage_minute",
        "select cast(sum(requests) as bigint) from usage_attendee",
    ] {
        assert_eq!(store.number(table).await, 2, "{table}");
    }
}

async fn who_has_used_up_their_day_is_counted(store: Store) {
    let event = store.event().await;
    let issued = store.issue(&event, 3).await;
    let ids: Vec<&str> = issued.iter().map(|issued| &*issued.attendee_id).collect();
    let cap = event.daily_request_cap;
    let mut batch = Batch::new();
    for (id, spent) in ids.iter().zip([cap, cap - 1]) {
        quota::lease(&store.db, id, 20_000, cap, cap).await.unwrap().unwrap();
        batch.spent.insert(((*id).into(), 20_000), spent.into());
    }
    // Leased by a replica, and nothing of it spent.
    quota::lease(&store.db, ids[2], 20_000, cap, cap).await.unwrap().unwrap();
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
    let at_cap = overview::at_cap(&store.db, &event, 20_000).await.unwrap();
    assert_eq!(at_cap, AtCap { called: 2, at_cap: 1 });
    let tomorrow = overview::at_cap(&store.db, &event, 20_001).await.unwrap();
    assert_eq!(tomorrow, AtCap { called: 0, at_cap: 0 });
    for (called, at_cap, are_many) in
        [(0, 0, false), (1, 1, false), (2, 2, true), (30, 3, true), (31, 3, false)]
    {
        assert_eq!(AtCap { called, at_cap }.are_many(), are_many, "{at_cap} of {called}");
    }
}

async fn events_are_listed_with_what_they_come_to(store: Store) {
    let (used, unused) = (store.event().await, store.event().await);
    let ada = store.issue(&used, 2).await.remove(0).attendee_id;
    let call = Call { attendee: &ada, resource: "r", name: "", at: MIDNIGHT, times_ms: &[1, 2] };
    flush(&store, &used, &[call]).await;
    let mut seen = Batch::new();
    seen.seen = [(ada.as_str().into(), MIDNIGHT)].into();
    usage::flush(&store.db, &seen, now_ms()).await.unwrap();
    let stranger = store.owned_by(store.another_owner().await);
    let foreign = stranger.event().await;

    let own = overview::overview(&store.db, Some(&store.by.owner_id)).await.unwrap();
    let figures = |id: &str| {
        let line = own.iter().find(|line| line.id == id).unwrap();
        (line.registered, line.connected, line.sum)
    };
    assert_eq!(own.len(), 2);
    assert_eq!(figures(&used.id), (2, 1, sum(2, 1)));
    assert_eq!(figures(&unused.id), (0, 0, sum(0, 0)));
    let all = overview::overview(&store.db, None).await.unwrap();
    assert_eq!(all.len(), 3);
    let theirs = all.iter().find(|line| line.id == foreign.id).unwrap();
    assert_eq!(theirs.owner, "another");
}

#[test]
fn calls_beyond_the_last_bound_count_as_long_as_it() {
    let mut figures = Figures::default();
    figures.add_call(Duration::from_secs(3_600), false);
    assert_eq!(Latency(figures.buckets).percentile(50), Some(60_000));
}
