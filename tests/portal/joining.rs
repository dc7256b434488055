//! The page of an event: its states, and joining it with the shared code and a name.

use std::collections::HashSet;

use ai_proxy::catalog::event::{self, Draft};
use futures_util::future::join_all;
use http::StatusCode;
use http::header::RETRY_AFTER;

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::workshop::Workshop;

const CODE: &str = "Welcome2026";

async fn shared_event(workshop: &Workshop<'_>, set: impl FnOnce(&mut Draft)) -> String {
    let draft = |draft: &mut Draft| {
        draft.shared_code = Some(CODE.into());
        set(draft);
    };
    workshop.event(&[], draft).await
}

async fn join(visitor: &Visitor, event: &str, code: &str, name: &str) -> Page {
    visitor.post(&format!("/event/{event}/join"), &[("code", code), ("name", name)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_state_of_an_event_says_what_it_is() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = shared_event(&workshop, |_| {}).await;
    let path = format!("/event/{event}");
    let save = async |set: &dyn Fn(&mut Draft)| {
        let (app, by) = (&portal.app, &workshop.by);
        let stored = event::get(&app.db, &app.vault, &by.owner_id, &event).await.unwrap();
        let mut draft = Draft::from(&stored);
        set(&mut draft);
        event::save(&app.db, &app.vault, by, &draft).await.unwrap();
    };
    let guest = portal.visitor();
    let shows = async |word: &str, joins: usize, cards: usize| {
        let page = guest.get(&path).await;
        assert_eq!(page.text(".state .badge"), word, "{}", page.body);
        assert_eq!(page.all("form[action$='/join']").len(), joins, "{word}");
        assert_eq!(page.all("form[action='/claim']").len(), cards, "{word}");
        assert!(page.body.contains("ada@example.org") && page.body.contains("A room."), "{word}");
    };
    shows("Open", 1, 1).await;
    save(&|draft| draft.registration = "closed".into()).await;
    shows("Open", 0, 1).await;
    save(&|draft| draft.registration = "shared-code".into()).await;
    save(&|draft| draft.active = false).await;
    shows("Paused", 0, 1).await;
    save(&|draft| {
        draft.active = true;
        draft.start = "2098-01-01T09:00".into();
    })
    .await;
    shows("Scheduled", 0, 1).await;
    let refused = join(&guest, &event, CODE, "Anna").await;
    assert_eq!(refused.text(".state .badge"), "Scheduled");
    save(&|draft| {
        draft.start = "2020-01-01T09:00".into();
        draft.end = "2021-01-01T09:00".into();
    })
    .await;
    shows("Ended", 0, 0).await;

    let draft = shared_event(&workshop, |draft| draft.active = false).await;
    let page = guest.get(&format!("/event/{draft}")).await;
    assert_eq!((page.status, page.text("h1")), (StatusCode::NOT_FOUND, "No such event".into()));
    let preview = ada.get(&format!("/event/{draft}")).await;
    assert_eq!(preview.text(".state .badge"), "Draft");
    let bob = portal.owner("Bob").await;
    assert_eq!(bob.get(&format!("/event/{draft}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_many_unknown_events_waits() {
    let portal = Portal::start().await;
    let guest = portal.visitor();
    let mut statuses = HashSet::new();
    for n in 0..61 {
        let page = guest.get(&format!("/event/0000-{n:04}")).await;
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(page.headers.contains_key(RETRY_AFTER));
        }
        statuses.insert(page.status);
    }
    assert_eq!(statuses.len(), 2, "{statuses:?}");
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    assert_eq!(guest.get(&format!("/event/{event}")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_join_under_any_name() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |draft| draft.shared_code = Some(CODE.into())).await;
    let longest = "x".repeat(64);
    for name in ["Ada Lovelace", "Zoë Müller", "李小龍", "O'Neill", "Al", "100%", "a/b@c", &longest]
    {
        let guest = portal.visitor();
        let joined = join(&guest, &event, "wELCOME2026", &format!("  {name} ")).await;
        joined.redirects_to(&format!("/event/{event}"));
        let page = guest.get(&format!("/event/{event}")).await;
        assert_eq!(page.text("main > p strong"), name);
        let key = page.text("#key");
        workshop.comes_to(&key.into(), "demo", "ok").await;
    }
    let people = workshop.number("select count(*) from attendee").await;
    assert_eq!(people, 8);
    // The same people by the shared code in their clients: nobody is added.
    let key = format!("{event}@{CODE}/Ada%20Lovelace");
    workshop.comes_to(&key.into(), "demo", "ok").await;
    assert_eq!(workshop.number("select count(*) from attendee").await, people);
    for name in ["x", &"x".repeat(65), "a\u{1}b"] {
        let page = join(&portal.visitor(), &event, CODE, name).await;
        assert!(page.problem("name").contains("2 to 64 characters"), "{}", page.body);
        assert_eq!(page.attribute("#code", "value").as_deref(), Some(CODE));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_agrees_to_the_terms_that_the_page_shows() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let usual = shared_event(&workshop, |_| {}).await;
    let own = shared_event(&workshop, |draft| draft.terms = "Be *kind*.".into()).await;
    for (event, terms) in [(&usual, "Keep your API key private."), (&own, "Be kind.")] {
        let guest = portal.visitor();
        let page = guest.get(&format!("/event/{event}")).await;
        assert!(page.text("#terms").contains(terms), "{}", page.body);
        assert_eq!(page.attribute("form a", "href").as_deref(), Some("#terms"));
        join(&guest, event, CODE, "Grace").await;
        let page = guest.get(&format!("/event/{event}")).await;
        assert!(page.text("#terms").contains(terms), "{}", page.body);
        assert!(page.text("#terms").contains("You agreed to them on"), "{}", page.body);
    }
    let agreed = "select count(*) from attendee where terms_accepted_at is not null";
    assert_eq!(workshop.number(agreed).await, 2);
    // Whoever types somebody else's name agrees to nothing for them.
    let forget = sqlx::query("update attendee set terms_accepted_at = null");
    forget.execute(portal.app.db.writer()).await.unwrap();
    let fields = [("code", CODE), ("name", "Grace"), ("is_me", "yes")];
    let answer = portal.visitor().post(&format!("/event/{own}/join"), &fields).await;
    answer.redirects_to(&format!("/event/{own}"));
    assert_eq!(workshop.number(agreed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_name_proves_nothing() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = shared_event(&workshop, |_| {}).await;
    let path = format!("/event/{event}");
    let anna = portal.visitor();
    join(&anna, &event, CODE, "Anna").await.redirects_to(&path);
    let key = anna.get(&path).await.text("#key");
    join(&anna, &event, CODE, "anna").await.redirects_to(&path);
    assert_eq!(anna.get(&path).await.text("#key"), key, "the browser that joined");

    let other = portal.visitor();
    let page = join(&other, &event, CODE, "ANNA").await;
    assert_eq!((page.status, page.text("h1")), (StatusCode::CONFLICT, "Is that you?".into()));
    let fields = [("code", CODE), ("name", "Anna"), ("is_me", "yes")];
    let page = other.post_and_follow(&format!("{path}/join"), &fields).await;
    assert_eq!(page.text("#key"), format!("{event}@CODE/Anna"));
    assert!(!page.body.contains(&key) && page.all("#standing").len() == 1, "{}", page.body);
    for (file, fields) in
        [("env", None), ("mcp.json", None), ("key", Some(())), ("sign-out", Some(()))]
    {
        let address = format!("{path}/{file}");
        let page = match fields {
            None => other.get(&address).await,
            Some(()) => other.post(&address, &[]).await,
        };
        assert_eq!(page.status, StatusCode::CONFLICT, "{file}: {}", page.body);
        assert!(!page.body.contains(&key));
    }
    assert_eq!(anna.get(&path).await.text("#key"), key);
    // A code shows no more than the browser that made it.
    let code = other.post(&format!("{path}/continue"), &[]).await.text("#continue-code");
    let third = portal.visitor();
    let page = third.post_and_follow("/", &[("given", &code)]).await;
    assert!(!page.body.contains(&key), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_registrations_of_one_person_give_one_key() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = shared_event(&workshop, |_| {}).await;
    let visitors: Vec<_> = (0..100).map(|_| portal.visitor()).collect();
    let joins = visitors.iter().map(|visitor| join(visitor, &event, CODE, "Anna"));
    let pages = join_all(joins).await;
    let joined = pages.iter().filter(|page| page.status == StatusCode::SEE_OTHER).count();
    let asked = pages.iter().filter(|page| page.status == StatusCode::CONFLICT).count();
    assert_eq!((joined, asked), (1, 99));
    assert_eq!(workshop.number("select count(*) from attendee").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_shared_codes_waits_for_that_event_alone() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = shared_event(&workshop, |_| {}).await;
    let other = shared_event(&workshop, |_| {}).await;
    let guest = portal.visitor();
    // More than thirty in one minute, even if a minute ends in between.
    for n in 0..60 {
        let page = join(&guest, &event, "Guess2026", &format!("Guesser {n}")).await;
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert!(page.problem("code").contains("is not this event's"), "{}", page.body);
        if n == 30 {
            break;
        }
    }
    // These are compared one a second, so the last of them takes five.
    let slowed = join_all((0..5).map(|_| join(&guest, &event, "Guess2026", "Guesser")));
    let at_once = async {
        join(&portal.visitor(), &other, CODE, "Anna")
            .await
            .redirects_to(&format!("/event/{other}"));
    };
    tokio::select! {
        () = at_once => {}
        _ = slowed => panic!("another event's code waited for the turns of this one"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_or_closed_event_says_so() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = shared_event(&workshop, |draft| draft.shared_code_limit = 1).await;
    join(&portal.visitor(), &event, CODE, "Anna").await.redirects_to(&format!("/event/{event}"));
    let page = join(&portal.visitor(), &event, CODE, "Bob").await;
    assert!(page.problem("code").contains("the event is full"), "{}", page.body);
    let page = join(&portal.visitor(), &event, "", "").await;
    assert!(page.all(".problem").len() == 2, "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_page_leads_to_the_event() {
    let portal = Portal::start().await;
    let guest = portal.visitor();
    assert!(guest.get("/").await.text(".flash").contains("ai-proxy owner setup-link"));
    portal.administrator("Ada").await;
    assert!(guest.get("/").await.all(".flash").is_empty());
    for given in ["a1b2-c3d4", "A1B2C3D4", "https://proxy.example/event/a1b2-c3d4"] {
        guest.post("/", &[("given", given)]).await.redirects_to("/event/a1b2-c3d4");
    }
}
