//! Stores of an earlier release work as before: keys, caps, sessions, cards, tokens,
//! sign-ins, figures and backups.

use ai_proxy::backup::{self, plan::Plan};
use ai_proxy::catalog::event;
use ai_proxy::catalog::owner::{self, api_token};
use ai_proxy::clock::{Clock, now_ms};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::harness::attendee::Ask;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::stored::Stored;
use crate::harness::wire::Answer;
use crate::harness::{CALL, PING};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_sqlite_is_taken_over() {
    is_taken_over(Stored::new("sqlite", None)).await;
}

/// In one test, because the endpoints in the store name one address.
pub async fn is_taken_over(stored: Stored) {
    let backend = Backend::at(stored.backend()).await;
    let mut proxy = stored.open().await;
    proxy.start().await;
    let then = Then { stored: &stored, proxy: &proxy, backend: &backend };
    then.figures_are_what_they_were().await;
    then.keys_fare_as_they_did().await;
    then.backends_get_their_keys().await;
    then.sessions_are_whose_they_were().await;
    then.caps_are_used_as_far_as_they_were().await;
    then.shared_codes_know_who_has_joined().await;
    then.owners_are_let_in().await;
    then.cards_are_as_good_as_they_were().await;
    proxy.stop().await;
    // Once more, on what today's code has made of it.
    proxy.start().await;
    let then = Then { stored: &stored, proxy: &proxy, backend: &backend };
    then.keys_fare_as_they_did().await;
    then.owners_are_let_in().await;
    proxy.stop().await;
    a_backup_is_restored(&stored, &backend).await;
}

struct Then<'a> {
    stored: &'a Stored,
    proxy: &'a Proxy,
    backend: &'a Backend,
}

impl Then<'_> {
    fn post(&self, key: &str, deployment: &str, body: &str) -> Ask {
        let target = format!("/api/v1/mcp/{deployment}");
        self.proxy.ask("POST", &target).json(body).header("api-key", key)
    }

    async fn usage(&self, key: &str) -> Value {
        let answer = self.proxy.ask("GET", "/api/v1/usage").header("api-key", key).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn keys_fare_as_they_did(&self) {
        for (name, fares) in [
            ("active", "ok"),
            ("disabled", "attendee_disabled"),
            ("own-cap", "ok"),
            ("ended", "event_ended"),
            ("closed", "ok"),
            ("stopped", "ok"),
            ("paused", "event_inactive"),
            ("graces", "ok"),
            ("with-claimed-card", "ok"),
        ] {
            let answer = self.post(self.stored.key(name), "by-api-key", PING).await;
            assert_eq!(outcome(&answer), fares, "{name}: {}", answer.text());
        }
    }

    async fn backends_get_their_keys(&self) {
        for (deployment, header, value) in [
            ("by-api-key", "api-key", "backend-key-1"),
            ("by-bearer", "authorization", "Bearer backend-key-2"),
            ("by-header", "x-workshop-key", "backend-key-3"),
        ] {
            let answer = self.post(self.stored.key("active"), deployment, PING).await;
            assert_eq!(answer.status, 200, "{deployment}: {}", answer.text());
            let got = self.backend.requests().pop().expect("a request");
            assert_eq!(got.target, format!("/{deployment}/mcp"));
            assert_eq!(got.header(header), Some(value));
        }
        assert_eq!(self.post(self.stored.key("active"), "by-none", PING).await.status, 200);
        let got = self.backend.requests().pop().expect("a request");
        assert!(!got.whole().contains("backend-key"), "{}", got.whole());
        let answer = self.post(self.stored.key("active"), "switched-off", PING).await;
        assert_eq!(outcome(&answer), "deployment_off", "{}", answer.text());
        // Another owner's resource of the same name.
        assert_eq!(self.post(self.stored.key("graces"), "by-api-key", PING).await.status, 200);
        let got = self.backend.requests().pop().expect("a request");
        assert_eq!(got.target, "/grace/mcp");
        assert_eq!(got.header("api-key"), Some("backend-key-9"));
    }

    async fn sessions_are_whose_they_were(&self) {
        for (name, session, fares) in [
            ("active", "live", "ok"),
            ("own-cap", "live", "session_not_found"),
            ("graces", "live", "session_not_found"),
            ("active", "ended", "session_not_found"),
            ("graces", "claimed", "ok"),
            ("active", "claimed", "session_not_found"),
        ] {
            let id = self.stored.text(&format!("/sessions/{session}"));
            let ping = self.post(self.stored.key(name), "by-api-key", PING).session(id);
            assert_eq!(outcome(&ping.await), fares, "{name}, {session}");
        }
    }

    async fn caps_are_used_as_far_as_they_were(&self) {
        let key = self.stored.key("active");
        let usage = self.usage(key).await;
        assert_eq!((&usage["used"], &usage["limit"]), (&3.into(), &10.into()), "{usage}");
        for _ in 0..7 {
            assert_eq!(outcome(&self.post(key, "by-api-key", CALL).await), "ok");
        }
        for name in ["active", "own-cap"] {
            let refused = self.post(self.stored.key(name), "by-api-key", CALL).await;
            assert_eq!(outcome(&refused), "daily_cap_reached", "{name}");
        }
        assert_eq!(self.usage(self.stored.key("graces")).await["used"], 6);
    }

    async fn shared_codes_know_who_has_joined(&self) {
        for (key, used) in self.stored.shared() {
            if key.ends_with("/left@example.org") {
                let refused = self.post(key, "by-api-key", PING).await;
                assert_eq!(outcome(&refused), "attendee_disabled");
            } else {
                assert_eq!(self.usage(key).await["used"], used, "{key}");
            }
        }
        let code = self.stored.text("/code");
        for (event, fares) in [
            ("a000-0001", "ok"),
            ("a000-0003", "registration_closed"),
            ("a000-0004", "registration_closed"),
        ] {
            let key = format!("{event}@{code}/somebody.new@example.org");
            assert_eq!(outcome(&self.post(&key, "by-api-key", PING).await), fares, "{event}");
        }
    }

    async fn owners_are_let_in(&self) {
        for name in ["Ada", "Grace"] {
            let token = format!("Bearer {}", self.stored.text(&format!("/tokens/{name}")));
            let answer = self.proxy.ask("GET", "/api/admin/v1/owner");
            assert_eq!(answer.header("authorization", &token).await.json()["name"], name);
            let session = self.stored.text(&format!("/sign_ins/{name}/ai-proxy-session"));
            let page = self.proxy.ask("GET", "/admin/account");
            let page = page.header("cookie", &format!("ai-proxy-session={session}")).await;
            assert_eq!(page.status, 200);
            assert!(page.text().contains(name), "{}", page.text());
            let password = self.stored.text("/password").replace(' ', "+");
            let form = format!("name={name}&password={password}");
            let signed_in = self.form("/admin/sign-in", &form).await;
            assert_eq!(signed_in.status, 303, "{}", signed_in.text());
        }
    }

    async fn cards_are_as_good_as_they_were(&self) {
        let claim = |state: &str| {
            let code = self.stored.text(&format!("/cards/{state}"));
            self.form("/claim", &format!("code={code}"))
        };
        let claimed = claim("unclaimed").await;
        assert_eq!(claimed.status, 303, "{}", claimed.text());
        let (cookie, _) = claimed.header("set-cookie").unwrap().split_once(';').unwrap();
        let page = self.proxy.ask("GET", claimed.header("location").unwrap());
        let page = page.header("cookie", cookie).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let (_, key) = page.text().split_once("id=\"key\">").expect("a key");
        let (key, _) = key.split_once('<').expect("the end of it");
        assert_eq!(outcome(&self.post(key, "by-api-key", PING).await), "ok");
        for state in ["unclaimed", "claimed"] {
            assert_eq!(claim(state).await.status, 410, "{state}");
        }
    }

    async fn figures_are_what_they_were(&self) {
        for (event, requests) in self.stored.requests() {
            let owner = if event.starts_with('a') { "Ada" } else { "Grace" };
            let token = format!("Bearer {}", self.stored.text(&format!("/tokens/{owner}")));
            let usage = self.proxy.ask("GET", &format!("/api/admin/v1/events/{event}/usage"));
            let usage = usage.header("authorization", &token).await.json();
            assert_eq!(usage["requests"], requests, "{event}: {usage}");
        }
    }

    fn form(&self, path: &str, fields: &str) -> Ask {
        let ask = self.proxy.ask("POST", path).header("origin", "http://proxy.test");
        ask.header("content-type", "application/x-www-form-urlencoded").body(fields)
    }
}

fn outcome(answer: &Answer) -> String {
    if answer.status == 200 { "ok".to_owned() } else { answer.code() }
}

async fn a_backup_is_restored(stored: &Stored, backend: &Backend) {
    let mut proxy = stored.elsewhere().await;
    let store = proxy.store.clone();
    let (db, vault, by) = (&store.db, &store.vault, &store.by);
    let archive = backup::open(&stored.backup(), stored.text("/passphrase").as_bytes(), now_ms());
    let archive = archive.expect("a backup that opens");
    let mark = {
        let mut connection = db.pool().acquire().await.expect("a connection");
        Plan::draw(&mut connection, vault, by, &archive).await.expect("a plan").mark()
    };
    let done = backup::restore(db, vault, &Clock::default(), by, &archive, &mark)
        .await
        .expect("a restored backup");
    let done = done.expect("a plan that holds");
    assert_eq!((done.events, done.resources, done.new_ids, done.new_keys), (5, 5, 0, 0));
    for event in event::list(db, vault, &by.owner_id).await.expect("events") {
        // Nothing in the file says that the paused one was ever on.
        let as_it_was = (true, event.id == "a000-0005");
        assert_eq!((event.cards_work_once, event.is_draft()), as_it_was, "{}", event.id);
    }
    proxy.start().await;
    // Before anybody calls, which would add to them.
    let ada = owner::local(db, "local", now_ms()).await.expect("the owner");
    let token =
        api_token::create(db, &ada.actor(now_ms()), "Restored", None).await.expect("a token");
    for (event, requests) in stored.requests().filter(|(event, _)| event.starts_with('a')) {
        let usage = proxy.ask("GET", &format!("/api/admin/v1/events/{event}/usage"));
        let token = format!("Bearer {}", token.expose_secret());
        let usage = usage.header("authorization", &token).await.json();
        assert_eq!(usage["requests"], requests, "{event}: {usage}");
    }
    let then = Then { stored, proxy: &proxy, backend };
    for (name, fares) in [
        ("active", "ok"),
        ("disabled", "attendee_disabled"),
        ("ended", "event_ended"),
        ("paused", "event_inactive"),
        ("graces", "invalid_api_key"),
        ("with-card", "ok"),
    ] {
        let answer = then.post(stored.key(name), "by-header", PING).await;
        assert_eq!(outcome(&answer), fares, "{name}: {}", answer.text());
    }
    let got = backend.requests().pop().expect("a request");
    assert_eq!(got.header("x-workshop-key"), Some("backend-key-3"));
    let key = format!("a000-0001@{}/hedy@example.org", stored.text("/code"));
    assert_eq!(outcome(&then.post(&key, "by-api-key", PING).await), "ok");
    proxy.stop().await;
}
