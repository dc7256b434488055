//! The page where tokens are made and revoked.

use ai_proxy::catalog::owner::{self, api_token};
use http::StatusCode;

use super::Program;
use crate::harness::Portal;

const TOKENS: &str = "/admin/tokens";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_works_and_is_revoked() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    assert!(ada.get("/admin/account").await.body.contains(&format!("href=\"{TOKENS}\"")));
    assert_eq!(ada.get(TOKENS).await.text(".empty"), "No tokens yet. Make one below.");

    let page = ada.post_and_follow(TOKENS, &[("name", " CI "), ("days", "90")]).await;
    assert_eq!(
        page.all(".flash p")[0],
        "The token CI is made. Copy it now: it is not shown again."
    );
    let token = page.text("#flash-secret");
    assert!(token.starts_with("aip_") && token.len() == 68, "{token}");
    let page = ada.get(TOKENS).await;
    assert!(
        page.all("#flash-secret").is_empty() && !page.body.contains(&token),
        "it is shown once"
    );
    assert!(page.text("tbody tr").contains("never"), "{}", page.body);

    let program = Program { url: portal.url.clone(), token };
    assert_eq!(program.get("/owner").await.done()["name"], "Ada");
    let page = ada.get(TOKENS).await;
    assert!(!page.text("tbody tr").contains("never"), "{}", page.body);

    let ask = page.attribute("a.danger", "href").unwrap();
    assert_eq!(ada.get(&ask).await.text("h2"), "Revoke CI?");
    let page = ada.post_and_follow(&ask, &[]).await;
    assert_eq!(page.flash(), "The token CI is revoked.");
    assert_eq!(program.get("/owner").await.status, 401);
    let trail = ada.get("/admin/audit").await.all("tbody td:nth-child(3)");
    assert_eq!(trail[..2], ["revoked an API token CI", "made an API token CI"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_told_beside_its_field_and_kept() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    ada.post_and_follow(TOKENS, &[("name", "CI"), ("days", "")]).await;
    for (name, days, field, problem) in [
        ("", "90", "name", "Name is required."),
        ("CI", "90", "name", "Name is another token's; the audit trail tells them by it."),
        ("B", "0", "days", "Days must be from 1 to 3650."),
        ("B", "soon", "days", "Days must be a number from 1 to 3650, or empty."),
    ] {
        let page = ada.post(TOKENS, &[("name", name), ("days", days)]).await;
        assert_eq!(page.problem(field), problem);
        assert_eq!(page.attribute("#name", "value").as_deref(), Some(name));
        assert_eq!(page.attribute("#days", "value").as_deref(), Some(days));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_or_revokes_it() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let eve = portal.administrator("Eve").await;
    let ada = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap();
    let id = &api_token::list(&portal.app.db, &ada.id).await.unwrap()[0].id;
    assert!(eve.get(TOKENS).await.all("tbody tr").is_empty());
    let path = format!("{TOKENS}/{id}/revoke");
    assert_eq!(eve.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(eve.post(&path, &[]).await.status, StatusCode::NOT_FOUND);
    program.get("/owner").await.done();
    let stranger = portal.visitor();
    stranger.post(&path, &[]).await.says_signed_out();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_as_long_as_it_was_made_for() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    portal.pass(24 * 3_600_000 - 60_000);
    program.get("/owner").await.done();
    portal.pass(60_000);
    assert_eq!(program.get("/owner").await.status, 401);
}
