//! A portal at which people sign in with the GitHub of `tests/github`.

#[path = "../github/provider.rs"]
pub mod provider;

use std::io::Write;

use http::StatusCode;
use http::header::LOCATION;
use tempfile::NamedTempFile;

use self::provider::{CLIENT_ID, CLIENT_SECRET, GitHub, Person};
use crate::harness::{Page, Portal, Visitor};
use crate::workshop::Workshop;

pub fn octocat() -> Person {
    Person::new(583_231, "octocat", Some("The Octocat"))
}

/// Has said no name at GitHub.
pub fn grace() -> Person {
    Person::new(9_001, "grace", None)
}

pub struct Site {
    pub portal: Portal,
    pub github: GitHub,
    _secret: NamedTempFile,
}

impl Site {
    /// Where the Octocat and Grace can sign in, and Ada has events.
    pub async fn start() -> Self {
        Self::with(CLIENT_SECRET, &[]).await
    }

    pub async fn with(secret: &str, settings: &[&str]) -> Self {
        let github = GitHub::start(([127, 0, 0, 1], 0).into(), vec![octocat(), grace()]).await;
        let mut file = NamedTempFile::new().unwrap();
        writeln!(file, "{secret}").unwrap();
        let mut all = vec!["--github-client-id", CLIENT_ID, "--github-url", &github.url];
        all.extend(["--github-client-secret-file", file.path().to_str().unwrap()]);
        all.extend(settings);
        let portal = Portal::with(&all).await;
        portal.administrator("Ada").await;
        Self { portal, github, _secret: file }
    }

    /// An event of Ada's that GitHub accounts can join; its id.
    pub async fn event(&self) -> String {
        self.workshop().await.event(&[], |draft| draft.registration = "github".into()).await
    }

    pub async fn workshop(&self) -> Workshop<'_> {
        Workshop::of(&self.portal, "Ada").await
    }

    pub async fn attendees(&self) -> i64 {
        let count = sqlx::query_scalar("select count(*) from attendee");
        count.fetch_one(self.portal.app.db.pool()).await.unwrap()
    }
}

impl Visitor {
    /// Begins to sign in to the event and chooses `link` on GitHub's page: where that sends the browser
    /// back to.
    pub async fn go_to_github(&self, event: &str, link: &str) -> String {
        let away = self.get(&format!("/event/{event}/github")).await;
        self.choose_at_github(&away, link).await
    }

    /// The same, where an answer has sent the browser to GitHub.
    pub async fn choose_at_github(&self, away: &Page, link: &str) -> String {
        assert_eq!(away.status, StatusCode::SEE_OTHER, "{}", away.body);
        let there = away.headers[LOCATION].to_str().unwrap().to_owned();
        let (path, _) = there.split_once('?').unwrap();
        let page = Page::read(self.client.get(&there).send().await.unwrap()).await;
        let links = page.all("a").into_iter().zip(page.attributes("a", "href"));
        let (_, chosen) = links.into_iter().find(|(text, _)| text == link).expect(link);
        let back = self.client.get(format!("{path}{chosen}")).send().await.unwrap();
        assert_eq!(back.status(), StatusCode::FOUND);
        let back = back.headers()[LOCATION].to_str().unwrap();
        let back = back.strip_prefix(&self.url).unwrap_or_else(|| panic!("{back}"));
        back.to_owned()
    }

    /// Signs in to the event with GitHub as `login`: what is answered when the browser is back.
    pub async fn sign_in_with_github(&self, event: &str, login: &str) -> Page {
        let back = self.go_to_github(event, login).await;
        self.get(&back).await
    }
}
