//! Attendees who sign in with GitHub: who is let in, who is not, and what they are told.

use ai_proxy::catalog::attendee;
use ai_proxy::catalog::event::control;
use http::StatusCode;
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};

use crate::harness::{Page, Portal, Visitor};
use crate::octocat::Site;
use crate::octocat::provider::CLIENT_SECRET;
use crate::workshop::Workshop;

const CALLBACK: &str = "/github/callback";

/// The page says so, under this status, and leads back to the event.
#[track_caller]
fn leads_back(page: &Page, status: StatusCode, title: &str, event: &str) {
    assert_eq!((page.status, page.text("h1")), (status, title.to_owned()), "{}", page.body);
    let links = page.attributes("a", "href");
    assert!(links.contains(&format!("/event/{event}")), "{links:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_one_attendee_with_one_key_in_every_browser() {
    let site = Site::start().await;
    let event = site.event().await;
    let path = format!("/event/{event}");
    let mut keys = Vec::new();
    for _ in 0..2 {
        let visitor = site.portal.visitor();
        let page = visitor.get(&path).await;
        assert_eq!(page.attribute("a[href$='/github']", "href"), Some(format!("{path}/github")));
        visitor.sign_in_with_github(&event, "octocat").await.redirects_to(&path);
        let page = visitor.get(&path).await;
        assert_eq!(page.text("main > p strong"), "The Octocat");
        keys.push(page.text("#key"));
        // Signed in already: nobody is sent to GitHub again.
        visitor.get(&format!("{path}/github")).await.redirects_to(&path);
    }
    assert!(keys[0].starts_with("aik_") && keys[0] == keys[1], "{keys:?}");
    let grace = site.portal.visitor();
    grace.sign_in_with_github(&event, "grace").await.redirects_to(&path);
    let page = grace.get(&path).await;
    assert_eq!(page.text("main > p strong"), "grace", "the login, where there is no name");
    assert_ne!(page.text("#key"), keys[0]);
    assert_eq!(site.attendees().await, 2);
    let workshop = site.workshop().await;
    let of_id = "select count(*) from attendee where user_id = 'github:583231'";
    assert_eq!(workshop.number(of_id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_comes_many_times_at_once_is_one_attendee() {
    let site = Site::start().await;
    let event = site.event().await;
    let visitors: Vec<Visitor> = (0..12).map(|_| site.portal.visitor()).collect();
    let come = visitors.iter().map(|visitor| visitor.sign_in_with_github(&event, "octocat"));
    for page in futures_util::future::join_all(come).await {
        page.redirects_to(&format!("/event/{event}"));
    }
    assert_eq!(site.attendees().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ticket_is_for_this_site_and_gone_and_the_request_is_githubs() {
    let site = Site::with(CLIENT_SECRET, &["--public-url", "https://proxy.example/"]).await;
    let event = site.event().await;
    let away = site.portal.visitor().get(&format!("/event/{event}/github")).await;
    let there: url::Url = away.headers[LOCATION].to_str().unwrap().parse().unwrap();
    let asked = |name: &str| {
        let found = there.query_pairs().find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    assert_eq!(there.path(), "/login/oauth/authorize");
    assert_eq!(asked("redirect_uri"), "https://proxy.example/github/callback");
    assert_eq!((asked("scope"), asked("code_challenge_method")), ("".into(), "S256".into()));
    assert_eq!((asked("state").len(), asked("code_challenge").len()), (64, 43));

    let site = Site::start().await;
    let event = site.event().await;
    let visitor = site.portal.visitor();
    let away = visitor.get(&format!("/event/{event}/github")).await;
    let ticket = away.headers[SET_COOKIE].to_str().unwrap();
    for part in ["ai-proxy-github=v1.", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(ticket.contains(part), "{ticket}");
    }
    let back = visitor.sign_in_with_github(&event, "octocat").await;
    let mut cookies = back.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    assert!(cookies.any(|cookie| cookie.starts_with("ai-proxy-github=;")), "{:?}", back.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_is_good_once_and_in_the_browser_that_left() {
    let site = Site::start().await;
    let event = site.event().await;
    let path = format!("/event/{event}");
    let stranger = site.portal.visitor();
    for nothing in ["", "?", "?state=a&code=b", "?state=a&state=b", "?error=access_denied"] {
        let page = stranger.get(&format!("{CALLBACK}{nothing}")).await;
        assert_eq!((page.status, page.text("h1")), (StatusCode::BAD_REQUEST, "Start again".into()));
        assert_eq!(page.attributes("main a", "href"), ["/"], "no event is known");
    }
    let visitor = site.portal.visitor();
    let back = visitor.go_to_github(&event, "octocat").await;
    // What somebody else is sent to would sign them in as the Octocat.
    assert_eq!(stranger.get(&back).await.status, StatusCode::BAD_REQUEST);
    stranger.get(&format!("{path}/github")).await;
    let start_again =
        |page: &Page| leads_back(page, StatusCode::BAD_REQUEST, "Start again", &event);
    start_again(&stranger.get(&back).await);
    // Another state, with the ticket at hand.
    let (start, state) = back.split_once("state=").unwrap();
    start_again(&visitor.get(&format!("{start}state=x{}", &state[1..])).await);
    let ticket = visitor.cookie("ai-proxy-github").unwrap();
    visitor.get(&back).await.redirects_to(&path);
    // Even where the browser has kept its ticket.
    let replay = site.portal.visitor();
    let cookie = format!("ai-proxy-github={ticket}");
    replay.jar.add_cookie_str(&cookie, &replay.url.parse().unwrap());
    start_again(&replay.get(&back).await);
    assert_eq!(replay.get(&path).await.all("#key").len(), 0);
    assert_eq!(site.attendees().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_takes_longer_than_ten_minutes_starts_again() {
    let site = Site::start().await;
    let event = site.event().await;
    let visitor = site.portal.visitor();
    let back = visitor.go_to_github(&event, "octocat").await;
    site.portal.pass(600_001);
    let page = visitor.get(&back).await;
    assert_eq!((page.status, page.text("h1")), (StatusCode::BAD_REQUEST, "Start again".into()));
    assert_eq!(site.attendees().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_another_browser_asked_for_or_that_was_used_is_worth_nothing() {
    let site = Site::start().await;
    let event = site.event().await;
    let part = |back: &str, name: &str| {
        let (_, value) = back.split_once(&format!("{name}=")).unwrap();
        value.split('&').next().unwrap().to_owned()
    };
    let (visitor, thief) = (site.portal.visitor(), site.portal.visitor());
    let theirs = visitor.go_to_github(&event, "octocat").await;
    let own = thief.go_to_github(&event, "grace").await;
    let mixed = |state: &str| {
        format!("{CALLBACK}?code={}&state={}", part(&theirs, "code"), part(state, "state"))
    };
    let page = thief.get(&mixed(&own)).await;
    leads_back(&page, StatusCode::BAD_REQUEST, "Start again", &event);
    assert!(page.body.contains("did not accept the code"), "{}", page.body);
    assert_eq!(thief.get(&format!("/event/{event}")).await.all("#key").len(), 0);
    // GitHub knows each code once: it was spent by the thief, so its owner starts again as well.
    let page = visitor.get(&theirs).await;
    leads_back(&page, StatusCode::BAD_REQUEST, "Start again", &event);
    visitor.sign_in_with_github(&event, "octocat").await.redirects_to(&format!("/event/{event}"));
    assert_eq!(site.attendees().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_github_refuses_is_said_with_a_way_back() {
    let site = Site::start().await;
    let event = site.event().await;
    let page = site.portal.visitor().sign_in_with_github(&event, "Cancel").await;
    leads_back(&page, StatusCode::FORBIDDEN, "Not signed in", &event);
    assert!(page.body.contains("You cancelled"), "{}", page.body);
    let again = page.attribute("a.primary", "href");
    assert_eq!(again, Some(format!("/event/{event}/github")));

    let visitor = site.portal.visitor();
    let back = visitor.go_to_github(&event, "octocat").await;
    let (_, state) = back.split_once("state=").unwrap();
    let odd = format!("{CALLBACK}?error=application_suspended%3Cb%3E&state={state}");
    let page = visitor.get(&odd).await;
    leads_back(&page, StatusCode::FORBIDDEN, "Not signed in", &event);
    assert!(page.body.contains("(application_suspendedb)"), "{}", page.body);
    assert_eq!(site.attendees().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_github_fails_people_are_told_and_can_try_again() {
    let site = Site::start().await;
    let event = site.event().await;
    let visitor = site.portal.visitor();
    site.github.script.lock().is_down = true;
    let page = visitor.sign_in_with_github(&event, "octocat").await;
    leads_back(&page, StatusCode::BAD_GATEWAY, "GitHub sign-in does not work", &event);
    site.github.script.lock().is_down = false;
    visitor.sign_in_with_github(&event, "octocat").await.redirects_to(&format!("/event/{event}"));

    // Errors come with status 200.
    let site = Site::with("another secret", &[]).await;
    let event = site.event().await;
    let page = site.portal.visitor().sign_in_with_github(&event, "octocat").await;
    leads_back(&page, StatusCode::BAD_GATEWAY, "GitHub sign-in does not work", &event);
    assert_eq!(site.attendees().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_brings_many_wrong_codes_waits() {
    let site = Site::start().await;
    let event = site.event().await;
    let visitor = site.portal.visitor();
    let mut statuses = Vec::new();
    for _ in 0..121 {
        let away = visitor.get(&format!("/event/{event}/github")).await;
        let there: url::Url = away.headers[LOCATION].to_str().unwrap().parse().unwrap();
        let state = there.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let page = visitor.get(&format!("{CALLBACK}?code=made-up&state={state}")).await;
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(page.headers.contains_key(RETRY_AFTER));
            leads_back(&page, StatusCode::TOO_MANY_REQUESTS, "Too many attempts", &event);
        }
        statuses.push(page.status);
    }
    let (last, before) = statuses.split_last().unwrap();
    assert_eq!(*last, StatusCode::TOO_MANY_REQUESTS);
    assert!(before.iter().all(|status| *status == StatusCode::BAD_REQUEST));
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_keeps_out_who_is_not_in_yet() {
    let site = Site::start().await;
    let (event, workshop) = (site.event().await, site.workshop().await);
    let path = format!("/event/{event}");
    let app = &site.portal.app;
    let comes = async |login: &str| {
        let visitor = site.portal.visitor();
        (visitor.sign_in_with_github(&event, login).await, visitor)
    };
    comes("octocat").await.0.redirects_to(&path);

    control::set_registration(&app.db, &workshop.by, &event, false).await.unwrap();
    let page = site.portal.visitor().get(&path).await;
    assert!(page.body.contains("Registration is closed."), "{}", page.body);
    assert_eq!(page.all("h2")[0], "Come back with GitHub");
    comes("octocat").await.0.redirects_to(&path);
    let (page, _) = comes("grace").await;
    leads_back(&page, StatusCode::FORBIDDEN, "Registration is closed", &event);
    assert!(page.body.contains("at the moment"), "{}", page.body);
    control::set_registration(&app.db, &workshop.by, &event, true).await.unwrap();

    let set = |registration: &'static str| set_registration(&site, &event, registration);
    for closed in ["closed", "shared-code"] {
        set(closed).await;
        comes("octocat").await.0.redirects_to(&path);
        let (page, _) = comes("grace").await;
        leads_back(&page, StatusCode::FORBIDDEN, "Registration is closed", &event);
        assert!(page.body.contains("in this way"), "{}", page.body);
    }
    set("shared-code,github").await;
    comes("grace").await.0.redirects_to(&path);
    assert_eq!(site.attendees().await, 2);
}

async fn set_registration(site: &Site, event: &str, registration: &str) {
    use ai_proxy::catalog::event::{self, Draft};
    let (app, by) = (&site.portal.app, site.workshop().await.by);
    let stored = event::get(&app.db, &app.vault, &by.owner_id, event).await.unwrap();
    let draft = Draft { registration: registration.into(), ..Draft::from(&stored) };
    event::save(&app.db, &app.vault, &by, &draft).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_event_opens_those_who_have_joined_come_back() {
    let site = Site::start().await;
    let (event, workshop) = (site.event().await, site.workshop().await);
    let path = format!("/event/{event}");
    site.portal.visitor().sign_in_with_github(&event, "octocat").await.redirects_to(&path);
    let app = &site.portal.app;
    control::set_active(&app.db, &workshop.by, &event, false).await.unwrap();
    site.portal.visitor().sign_in_with_github(&event, "octocat").await.redirects_to(&path);
    let page = site.portal.visitor().sign_in_with_github(&event, "grace").await;
    leads_back(&page, StatusCode::FORBIDDEN, "The event is not open", &event);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_deleted_stays_out_until_let_in_again() {
    let site = Site::start().await;
    let (event, workshop) = (site.event().await, site.workshop().await);
    let path = format!("/event/{event}");
    let visitor = site.portal.visitor();
    visitor.sign_in_with_github(&event, "octocat").await.redirects_to(&path);
    let (db, vault, by) = (&site.portal.app.db, &site.portal.app.vault, &workshop.by);
    let all = attendee::list(db, &by.owner_id, &event).await.unwrap();
    let (id, user_id) = (&all[0].id, &all[0].user_id);
    attendee::delete(db, by, id, site.portal.app.clock.today(by.at)).await.unwrap();
    assert_eq!(visitor.get(&path).await.all("#key").len(), 0, "signed out at once");
    let page = visitor.sign_in_with_github(&event, "octocat").await;
    leads_back(&page, StatusCode::FORBIDDEN, "You were removed", &event);
    attendee::deleted::let_in_again(db, vault, by, &event, user_id).await.unwrap();
    visitor.sign_in_with_github(&event, "octocat").await.redirects_to(&path);
    assert_eq!(visitor.get(&path).await.text("main > p strong"), "The Octocat", "the name is back");
    assert_eq!(site.attendees().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_settings_github_is_not_there() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.registration = "github".into()).await;
    let visitor = portal.visitor();
    let page = visitor.get(&format!("/event/{event}")).await;
    assert!(page.all("a[href$='/github']").is_empty(), "{}", page.body);
    let event = format!("/event/{event}");
    visitor.get(&format!("{event}/github")).await.redirects_to(&event);
    assert_eq!(visitor.get(CALLBACK).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_an_event_offers_github_where_it_is_set_up() {
    let site = Site::start().await;
    let ada = site.portal.visitor();
    ada.sign_in("Ada", crate::harness::PASSWORD).await;
    let form = ada.get("/admin/events/new").await;
    assert!(form.attributes("[name=registration][disabled]", "value").is_empty());
    assert_eq!(form.text("#registration-github-hint"), "People sign in with their GitHub account.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_another_site_shows_the_terms_first() {
    let site = Site::start().await;
    let event = site.event().await;
    let visitor = site.portal.visitor();
    for (from, leads_away) in
        [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)]
    {
        let request = visitor.client.get(format!("{}/event/{event}/github", visitor.url));
        let answer = request.header("sec-fetch-site", from).send().await.unwrap();
        let location = answer.headers()[LOCATION].to_str().unwrap();
        assert_eq!(location != format!("/event/{event}"), leads_away, "{from}: {location}");
    }
}
