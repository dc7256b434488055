//! A portal that lets people sign in with the provider of `tests/entra`.

#[path = "../entra/provider.rs"]
pub mod provider;

use std::io::Write;

use http::header::LOCATION;
use tempfile::NamedTempFile;

use self::provider::{CLIENT_ID, CLIENT_SECRET, Person, Provider, TENANT};
use crate::harness::{Page, Portal, Visitor};

pub const BEGIN: &str = "/admin/sign-in/entra";

/// Ada is let in by the settings, Eve is not.
pub fn ada() -> Person {
    Person::new("Ada Lovelace", "00000000-0000-4000-8000-00000000ada1")
}

pub fn eve() -> Person {
    Person::new("Eve", "00000000-0000-4000-8000-00000000eee1")
}

pub struct Site {
    pub portal: Portal,
    pub entra: Provider,
    pub _secret: NamedTempFile,
}

impl Site {
    /// Where `person` signs in with Microsoft.
    pub async fn of(person: Person) -> Self {
        Self::with(person, TENANT, CLIENT_SECRET, &[]).await
    }

    pub async fn with(person: Person, tenants: &str, secret: &str, settings: &[&str]) -> Self {
        let entra = Provider::start(([127, 0, 0, 1], 0).into(), vec![person]).await;
        let mut file = NamedTempFile::new().unwrap();
        writeln!(file, "{secret}").unwrap();
        let owners = format!("{TENANT}/{}", ada().object);
        let mut all = vec!["--entra-tenants", tenants, "--entra-client-id", CLIENT_ID];
        all.extend(["--entra-authority", &entra.url, "--entra-owners", &owners]);
        all.extend(["--entra-client-secret-file", file.path().to_str().unwrap()]);
        all.extend(settings);
        let portal = Portal::with(&all).await;
        Self { portal, entra, _secret: file }
    }

    /// Whoever signs in from now on.
    pub fn now_is(&self, person: Person) {
        self.entra.script.lock().people = vec![person];
    }

    /// How many owners there are.
    pub async fn owners(&self) -> i64 {
        let count = sqlx::query_scalar("select count(*) from owner");
        count.fetch_one(self.portal.app.db.pool()).await.unwrap()
    }
}

impl Visitor {
    /// Begins a sign-in at `path` and signs in at the provider: where that sends
    /// the browser back to.
    pub async fn go_to_microsoft(&self, path: &str) -> String {
        let away = self.get(path).await;
        assert_eq!(away.status, http::StatusCode::SEE_OTHER, "{}", away.body);
        let there = away.headers[LOCATION].to_str().unwrap().to_owned();
        self.back_from_microsoft(&there).await
    }

    /// Confirms with Microsoft who they are, from the page that asks: what is answered when the
    /// browser is back.
    pub async fn confirm_with_microsoft(&self, asked: &Page) -> Page {
        let back = self.sign_in_again(asked).await;
        self.get(&back).await
    }

    /// Goes to the provider from the page that asks who it is, which asks as well: where that sends
    /// the browser back to.
    pub async fn sign_in_again(&self, asked: &Page) -> String {
        let link = asked.attribute("a#entra", "href").expect("a link to Microsoft");
        let away = self.get(&link).await;
        assert_eq!(away.status, http::StatusCode::SEE_OTHER, "{}", away.body);
        let there = away.headers[LOCATION].to_str().unwrap();
        let page = Page::read(self.client.get(there).send().await.unwrap()).await;
        assert_eq!(page.text("h1"), "Sign in again", "Microsoft asks although it knows them");
        let chosen = page.attribute("a", "href").unwrap();
        let (path, _) = there.split_once('?').unwrap();
        self.back_from_microsoft(&format!("{path}{chosen}")).await
    }

    /// Signs in at the provider, whose address is `there`.
    pub async fn back_from_microsoft(&self, there: &str) -> String {
        let back = self.client.get(there).send().await.unwrap();
        let (status, headers) = (back.status(), back.headers().clone());
        let text = back.text().await.unwrap();
        assert_eq!(status, http::StatusCode::FOUND, "{there}: {text}");
        let back = headers[LOCATION].to_str().unwrap();
        let back = back.strip_prefix(&self.url).unwrap_or_else(|| panic!("{back}"));
        assert!(back.starts_with("/admin/sign-in/entra/callback?"), "{back}");
        back.to_owned()
    }

    /// Signs in with Microsoft: what is answered when the browser is back.
    pub async fn sign_in_with_microsoft(&self, path: &str) -> Page {
        let back = self.go_to_microsoft(path).await;
        self.get(&back).await
    }
}
