//! What is restored is what was there, all of it or nothing, and never another owner's.

use std::sync::Arc;
use std::time::Duration;

use ai_proxy::backup::archive::Archive;
use ai_proxy::backup::plan::{EventFate, Plan, ResourceFate};
use ai_proxy::backup::{self, Done, Error};
use ai_proxy::catalog::attendee;
use ai_proxy::catalog::attendee::claim::{self, CardReader, Claim, For};
use ai_proxy::catalog::rekey;
use ai_proxy::catalog::seal::Vault;
use ai_proxy::catalog::usage::{self, Batch, Figures, UsageKey};
use ai_proxy::catalog::{event, quota, resource};
use ai_proxy::clock;
use ai_proxy::clock::{Clock, day_of, now_ms};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::harness::{Store, event_draft, master_key, on_both, resource_draft};

on_both![
    everything_comes_back_as_it_was,
    a_second_restore_adds_copies_and_uses_the_resources_there_are,
    a_name_that_leads_elsewhere_is_not_taken_over,
    another_owners_rows_stay_as_they_are,
    a_key_in_another_spelling_is_the_same_key,
    hostile_entries_are_refused_by_name,
    a_restore_that_fails_leaves_nothing,
    others_lease_while_a_big_event_comes_back,
    what_cannot_be_read_is_left_out_and_named,
    what_waits_is_found_by_its_session_alone,
];

async fn gather(store: &Store) -> Archive {
    backup::gather(&store.db, &store.vault, &store.by.owner_id, true, now_ms()).await.unwrap()
}

async fn plan(store: &Store, archive: &Archive) -> Plan {
    let mut connection = store.db.pool().acquire().await.unwrap();
    Plan::draw(&mut connection, &store.vault, &store.by, archive).await.unwrap()
}

async fn restore(store: &Store, archive: &Archive) -> Result<Option<Done>, Error> {
    let mark = plan(store, archive).await.mark();
    backup::restore(&store.db, &store.vault, &Clock::default(), &store.by, archive, &mark).await
}

/// Two resources, an event with them, three attendees of whom one has called today, and
/// one who is gone with their figures left.
async fn fill(store: &Store) {
    let mut draft = event_draft();
    for deployment in ["mcp-b", "mcp-a"] {
        draft.resources.push(store.resource(deployment).await.id);
    }
    draft.id = Some("1a2b-0001".into());
    draft.shared_code = Some("spring2026".into());
    draft.cards_work_once = true;
    draft.terms = "Be *kind*.".into();
    draft.forget_after_days = Some(30);
    let event = store.save_event(&draft).await.unwrap();
    event::control::set_active(&store.db, &store.by, &event.id, false).await.unwrap();
    event::control::set_registration(&store.db, &store.by, &event.id, false).await.unwrap();
    let issued = store.issue(&event, 4).await;
    claim::make_cards(&store.db, &store.vault, &store.by, &event.id, For::New).await.unwrap();
    store.execute("update claim_code set claimed_at = 1777624200000 where attendee_id in (select id from attendee where user_id = 'issued:1')").await;
    store
        .execute("update attendee set terms_accepted_at = 1777624200001 where user_id = 'issued:1'")
        .await;
    attendee::set_active(&store.db, &store.by, &issued[1].attendee_id, false).await.unwrap();
    attendee::set_cap(&store.db, &store.by, &issued[2].attendee_id, Some(9)).await.unwrap();
    let (ada, today) = (&issued[0].attendee_id, clock::day_of(clock::now_ms()));
    quota::lease(&store.db, ada, today, 5, 100).await.unwrap();
    let mut batch = Batch::new();
    batch.spent.insert((Arc::from(&**ada), today), 3);
    batch.seen.insert(Arc::from(&**ada), 1_777_624_200_000);
    for (id, name) in [(ada, "echo"), (&issued[3].attendee_id, "Ünicode\nname")] {
        let key = UsageKey {
            event_id: Arc::from(&*event.id),
            attendee_id: Arc::from(&**id),
            resource_id: draft.resources[0].clone(),
            operation: "tools/call".into(),
            name: name.into(),
            minute: 1_777_624_200_000,
        };
        let mut figures = Figures { prompt_tokens: 7, completion_tokens: 11, ..Figures::default() };
        figures.add_call(Duration::from_millis(7), true);
        figures.add_call(Duration::from_secs(90), false);
        batch.usage.insert(key, figures);
    }
    usage::flush(&store.db, &batch, now_ms()).await.unwrap();
    attendee::delete(&store.db, &store.by, &issued[3].attendee_id, day_of(now_ms())).await.unwrap();
}

async fn use_card(store: &Store, code: &SecretString) -> Claim {
    let reader = CardReader { agent: "", form: None, held: &[] };
    let code = code.expose_secret();
    claim::claim(&store.db, &store.vault, code, &reader, now_ms()).await.unwrap()
}

async fn wipe(store: &Store) {
    event::delete(&store.db, &store.by, "1a2b-0001").await.unwrap();
    store.purge().await;
    let owner_id = &store.by.owner_id;
    for resource in resource::list(&store.db, &store.vault, owner_id).await.unwrap() {
        resource::delete(&store.db, &store.by, &resource.id).await.unwrap();
    }
}

/// What an archive says, with ids by what they stand for and in one order.
fn content(archive: &Archive) -> Value {
    let text = String::from_utf8(archive.to_json().unwrap().to_vec()).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let mut names: Vec<(String, String)> = Vec::new();
    for (list, name) in [("resources", "deployment"), ("attendees", "user_id")] {
        for entry in value[list].as_array().unwrap() {
            names.push((entry["id"].to_string(), entry[name].to_string()));
        }
    }
    let mut text = value.to_string();
    for (id, name) in names {
        text = text.replace(&id, &name);
    }
    value = serde_json::from_str(&text).unwrap();
    value["made_at"] = Value::Null;
    for row in value["usage"].as_array_mut().unwrap() {
        if row["attendee"].as_str().unwrap().len() == 32 {
            row["attendee"] = "gone".into();
        }
    }
    for list in ["resources", "attendees", "usage"] {
        value[list].as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    value
}

async fn everything_comes_back_as_it_was(store: Store) {
    fill(&store).await;
    let archive = gather(&store).await;
    assert_eq!((archive.attendees.len(), archive.usage.len()), (3, 2));
    wipe(&store).await;
    let drawn = plan(&store, &archive).await;
    assert_eq!(drawn.resources, [ResourceFate::Made, ResourceFate::Made]);
    assert_eq!(drawn.events, [EventFate::Kept]);
    let done = restore(&store, &archive).await.unwrap().unwrap();
    let expected =
        Done { resources: 2, events: 1, new_ids: 0, attendees: 3, new_keys: 0, usage: 2 };
    assert_eq!(done, expected);
    assert_eq!(content(&gather(&store).await), content(&archive));
    // The cards as they were printed open the pages of the restored attendees.
    let code = |user_id: &str| {
        let copy = archive.attendees.iter().find(|copy| copy.user_id == user_id).unwrap();
        copy.card_code().unwrap()
    };
    assert!(matches!(use_card(&store, code("issued:1")).await, Claim::Used { .. }));
    assert!(matches!(use_card(&store, code("issued:2")).await, Claim::Deactivated { .. }));
    assert!(matches!(use_card(&store, code("issued:3")).await, Claim::Open { .. }));
    assert!(archive.events[0].registration_stopped);

    // By the file as well, and the caps hold on.
    let again = Archive::from_json(&archive.to_json().unwrap()).unwrap();
    again.check(now_ms()).unwrap();
    assert_eq!(content(&again), content(&archive));
    let key = archive.attendees.iter().find(|copy| copy.used.is_some()).unwrap();
    let key = key.api_key.as_ref().unwrap().expose_secret();
    let digest = [store.vault.digest(key)];
    let ada = attendee::find_by_digest(&store.db, &digest).await.unwrap().unwrap();
    let today = clock::day_of(clock::now_ms());
    assert_eq!(quota::lease(&store.db, &ada.id, today, 8, 10).await.unwrap(), None);
    assert_eq!(quota::lease(&store.db, &ada.id, today, 7, 10).await.unwrap().unwrap().spent, 3);
}

async fn a_second_restore_adds_copies_and_uses_the_resources_there_are(store: Store) {
    fill(&store).await;
    let archive = gather(&store).await;
    for round in 1..=2 {
        let done = restore(&store, &archive).await.unwrap().unwrap();
        assert_eq!((done.resources, done.new_ids, done.new_keys), (0, 1, 3));
        let events = event::list(&store.db, &store.vault, &store.by.owner_id).await.unwrap();
        assert_eq!(events.len(), 1 + round);
        assert!(events.iter().all(|event| event.resources.len() == 2));
    }
    assert_eq!(store.number("select count(distinct key_digest) from attendee").await, 9);
    assert_eq!(plan(&store, &archive).await.lost_cards.len(), 3);
    let cards = "select count(*) from claim_code";
    assert_eq!(store.number(cards).await, 3, "each code is that of one attendee");
}

async fn a_name_that_leads_elsewhere_is_not_taken_over(store: Store) {
    fill(&store).await;
    let archive = gather(&store).await;
    wipe(&store).await;
    let mut other = resource_draft("mcp-a");
    other.endpoint = "http://127.0.0.1:9000/other".into();
    store.save_resource(&other).await.unwrap();
    store.resource("mcp-a-2").await;
    restore(&store, &archive).await.unwrap().unwrap();
    let event = event::get(&store.db, &store.vault, &store.by.owner_id, "1a2b-0001").await;
    let linked = event.unwrap().resources;
    let linked: Vec<&str> = linked.iter().map(|resource| &*resource.deployment).collect();
    assert_eq!(linked, ["mcp-b", "mcp-a-3"]);
}

async fn another_owners_rows_stay_as_they_are(store: Store) {
    fill(&store).await;
    let theirs = gather(&store).await;
    let eve = store.owned_by(store.another_owner().await);
    let drawn = plan(&eve, &theirs).await;
    assert_eq!(drawn.events, [EventFate::Taken]);
    assert_eq!(drawn.resources, [ResourceFate::Made, ResourceFate::Made]);
    assert_eq!(restore(&eve, &theirs).await.unwrap().unwrap().new_keys, 3);
    assert_eq!(content(&gather(&store).await), content(&theirs));
    let hers = gather(&eve).await;
    assert_eq!((hers.events.len(), hers.attendees.len()), (1, 3));
    let ids = |archive: &Archive| {
        let rows = archive.attendees.iter().map(|copy| copy.id.clone());
        rows.chain(archive.resources.iter().map(|copy| copy.id.clone())).collect::<Vec<_>>()
    };
    assert!(ids(&hers).iter().all(|id| !ids(&theirs).contains(id)));
}

async fn a_key_in_another_spelling_is_the_same_key(store: Store) {
    fill(&store).await;
    let mut archive = gather(&store).await;
    let key = archive.attendees[0].api_key.clone().unwrap();
    let key = key.expose_secret();
    let spelled = key.to_uppercase().replace('0', "O").replace('1', "l");
    archive.attendees[0].api_key = Some(spelled.clone().into());
    assert_eq!(plan(&store, &archive).await.new_keys.len(), 3, "somebody has each of them");
    wipe(&store).await;
    assert_eq!(restore(&store, &archive).await.unwrap().unwrap().new_keys, 0);
    let who = async |vault: &Vault| {
        attendee::find_by_digest(&store.db, &[vault.digest(key)]).await.unwrap().unwrap()
    };
    let ada = who(&store.vault).await;
    let shown = attendee::reveal_key(&store.db, &store.vault, &store.by.owner_id, &ada.id).await;
    assert_eq!(shown.unwrap().expose_secret(), spelled, "as it was written");
    let mut with_both = store.clone();
    with_both.vault = Arc::new(Vault::new(&master_key(2), Some(&master_key(1))));
    assert_eq!(plan(&with_both, &archive).await.new_keys.len(), 3);
    rekey::run(&store.db, &with_both.vault).await.unwrap();
    assert_eq!(who(&Vault::new(&master_key(2), None)).await.id, ada.id);

    archive.attendees[1].api_key = Some(key.into());
    let error = archive.check(now_ms()).unwrap_err().to_string();
    assert!(error.contains("their key is in it twice"), "{error}");
}

async fn hostile_entries_are_refused_by_name(store: Store) {
    fill(&store).await;
    let text = gather(&store).await.to_json().unwrap();
    let honest: Value = serde_json::from_slice(&text).unwrap();
    let long = "x".repeat(9000);
    for (place, value, named, reason) in [
        ("/events/0/id", json!("../../etc"), "event", "id: must be of the form"),
        ("/events/0/name", json!(long), "event", "name: has more than 64"),
        ("/events/0/description", json!(long), "event", "description: has more than 8192"),
        ("/events/0/end", json!("2001-01-01T00:00"), "event", "end: must be later"),
        ("/events/0/start", json!("soon"), "event", "start: must be a wall clock"),
        ("/events/0/time_zone", json!("Moon/Base"), "event", "time_zone"),
        ("/events/0/daily_request_cap", json!(100_001), "event", "daily_request_cap: must be"),
        ("/events/0/max_token_cap", json!(0), "event", "max_token_cap: must be"),
        ("/events/0/shared_code", json!("a b"), "event", "shared_code"),
        ("/events/0/registration", json!("everybody"), "event", "registration"),
        ("/events/0/first_active_at", json!(-1), "event", "first_active_at"),
        ("/events/0/forget_after_days", json!(0), "event", "forget_after_days: must be"),
        ("/events/0/terms", json!(long), "event", "terms: has more than 8192"),
        ("/events/0/resources/0", json!("another's"), "event", "links a resource"),
        ("/resources/0/deployment", json!(".."), "resource", "deployment: may hold"),
        ("/resources/0/deployment", json!("mcp-b"), "resource", "in it twice"),
        ("/resources/0/endpoint", json!("file:///etc/passwd"), "resource", "endpoint: must begin"),
        ("/resources/0/auth", json!("header:host"), "resource", "auth: the header host"),
        ("/resources/0/key", json!("a\r\nb"), "resource", "key: must be visible"),
        ("/resources/0/type", json!("shell"), "resource", "type: must be one of"),
        ("/attendees/0/event", json!("ffff-ffff"), "attendee", "event is not in the file"),
        ("/attendees/0/user_id", json!("issued:9223372036854775807"), "attendee", "user_id"),
        ("/attendees/0/user_id", json!("issued:x"), "attendee", "user_id"),
        ("/attendees/0/user_id", json!("root"), "attendee", "user_id"),
        ("/attendees/1/user_id", json!("issued:1"), "attendee", "in it twice"),
        ("/attendees/0/api_key", json!("short"), "attendee", "api_key: must have 16"),
        ("/attendees/0/api_key", json!("1a2b-0001@code5/somebody"), "attendee", "without an @"),
        ("/attendees/0/daily_request_cap", json!(0), "attendee", "daily_request_cap"),
        ("/attendees/0/created_at", json!(i64::MAX), "attendee", "created_at"),
        ("/attendees/0/terms_accepted_at", json!(-1), "attendee", "terms_accepted_at"),
        ("/attendees/0/card/code", json!("7QK4-M2XB-9TDO"), "attendee", "card: has a code"),
        ("/attendees/0/card/code", json!("7QK4M2XB9TDH"), "attendee", "card: has a code"),
        ("/attendees/0/card/created_at", json!(-1), "attendee", "created_at"),
        ("/attendees/0/display_name", json!(long), "attendee", "display_name"),
        ("/usage/0/event", json!("ffff-ffff"), "row 1", "event is not in the file"),
        ("/usage/0/requests", json!(u64::MAX), "row 1", "is above"),
        ("/usage/0/minute", json!(7), "row 1", "minute"),
        ("/usage/0/minute", json!(-60_000), "row 1", "minute"),
        ("/usage/0/name", json!("\u{0}"), "row 1", "NUL"),
        ("/format", json!(3), "", "newer release"),
        ("/events/0/active", json!("yes"), "", "is not of format 2"),
        ("/events/0/more", json!(1), "", "is not of format 2"),
    ] {
        let mut hostile = honest.clone();
        match hostile.pointer_mut(place) {
            Some(found) => *found = value,
            None => hostile["events"][0]["more"] = value,
        }
        let read = Archive::from_json(hostile.to_string().as_bytes());
        let error = read.and_then(|archive| archive.check(now_ms())).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains(reason), "{place}: {error}");
        assert!(error.len() < 400 && !error.contains('\n'), "{place}: {error}");
    }
    let mut many = honest.clone();
    many["attendees"] = Value::Array(vec![honest["attendees"][0].clone(); 20_001]);
    let error =
        Archive::from_json(many.to_string().as_bytes()).unwrap().check(now_ms()).unwrap_err();
    assert!(error.to_string().contains("more than 20000 attendees"), "{error}");
}

async fn a_restore_that_fails_leaves_nothing(store: Store) {
    fill(&store).await;
    let mut archive = gather(&store).await;
    wipe(&store).await;
    // What a check would have found: the last row fails in the store.
    archive.attendees[2].user_id = archive.attendees[1].user_id.clone();
    assert!(restore(&store, &archive).await.is_err());
    assert!(event::list(&store.db, &store.vault, &store.by.owner_id).await.unwrap().is_empty());
    assert_eq!(plan(&store, &archive).await.events, [EventFate::Purging], "and the page says so");
    store.purge().await;
    let other =
        backup::restore(&store.db, &store.vault, &Clock::default(), &store.by, &archive, "another")
            .await;
    assert_eq!(other.unwrap(), None);
    for count in [
        "select count(*) from resource",
        "select count(*) from event",
        "select count(*) from attendee",
        "select count(*) from usage",
        "select count(*) from audit where action = 'restored'",
    ] {
        assert_eq!(store.number(count).await, 0, "{count}");
    }
}

async fn others_lease_while_a_big_event_comes_back(store: Store) {
    fill(&store).await;
    let big = event::list(&store.db, &store.vault, &store.by.owner_id).await.unwrap().remove(0);
    store.issue(&big, 2_000).await;
    let figures = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 8000)
        insert into usage select event.id, 'x', 'r', 'tools/call', 'echo', i * 60000,
            1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 from n, event";
    store.execute(figures).await;
    let archive = gather(&store).await;
    wipe(&store).await;
    let other = store.event().await;
    let key = store.issue(&other, 1).await.remove(0);

    let restoring = tokio::spawn({
        let (store, archive) = (store.clone(), gather_again(&archive));
        async move { restore(&store, &archive).await.unwrap().unwrap() }
    });
    let mut leases = 0;
    while !restoring.is_finished() {
        quota::lease(&store.db, &key.attendee_id, 1, 1, 100_000).await.unwrap().unwrap();
        leases += 1;
    }
    let done = restoring.await.unwrap();
    assert_eq!((done.attendees, done.usage), (2_003, 8_002));
    assert!(leases > 20, "{leases} leases between the batches");
    assert_eq!(store.number("select cast(sum(requests) as bigint) from usage").await, 8_004);
    let sum = "select cast(sum(requests) as bigint) from usage_attendee";
    assert_eq!(store.number(sum).await, 8_004);
}

fn gather_again(archive: &Archive) -> Archive {
    Archive::from_json(&archive.to_json().unwrap()).unwrap()
}

async fn what_cannot_be_read_is_left_out_and_named(store: Store) {
    fill(&store).await;
    store.execute("update resource set endpoint_sealed = 'v1.x' where deployment = 'mcp-a'").await;
    store.execute("update attendee set api_key_sealed = 'v1.x' where user_id = 'issued:1'").await;
    let archive = gather(&store).await;
    assert_eq!(archive.resources.len(), 1);
    assert!(archive.notes[0].contains("mcp-a"), "{:?}", archive.notes);
    assert_eq!(archive.attendees.iter().filter(|copy| copy.api_key.is_none()).count(), 1);
    archive.check(now_ms()).unwrap();
    // Nobody knows where the one that is there leads: it is not taken for the same.
    let all = gather_again(&archive);
    store.execute("update resource set endpoint_sealed = 'v1.x'").await;
    let drawn = plan(&store, &all).await;
    assert_eq!(drawn.resources, [ResourceFate::Renamed("mcp-b-2".into())]);
}

async fn what_waits_is_found_by_its_session_alone(store: Store) {
    store
        .execute(
            "insert into owner_session (digest, owner_id, created_at, last_seen_at)
             select 'here', id, 0, 0 from owner",
        )
        .await;
    store
        .execute(
            "insert into owner_session (digest, owner_id, created_at, last_seen_at)
             select 'there', id, 0, 0 from owner",
        )
        .await;
    let (db, vault) = (&store.db, &store.vault);
    let archive = Arc::new(gather(&store).await);
    let first = backup::keep(db, vault, &store.by, "here", archive.clone()).await.unwrap();
    let second = backup::keep(db, vault, &store.by, "here", archive).await.unwrap();
    let eve = store.another_owner().await;
    for (by, session, id, is_there) in [
        (&store.by, "here", &second, true),
        (&store.by, "here", &first, false),
        (&store.by, "there", &second, false),
        (&eve, "here", &second, false),
    ] {
        let found = backup::find(db, vault, by, session, id).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{session} {id}");
    }
    store.execute("update restore set at = at - 1800001").await;
    assert!(backup::find(db, vault, &store.by, "here", &second).await.unwrap().is_none());
    store.execute("delete from owner_session where digest = 'here'").await;
    assert_eq!(store.number("select count(*) from restore").await, 0);
}
