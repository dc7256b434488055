//! Who sees what of the audit.

use ai_proxy::catalog::owner;
use ai_proxy::clock::now_ms;

use crate::harness::Portal;

const AUDIT: &str = "/admin/audit";

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_their_own_part_and_an_administrator_all() {
    let portal = Portal::start().await;
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    portal.owner("Eve").await;
    let id = owner::find(&portal.app.db, "Bob").await.unwrap().unwrap().id;
    ada.post(&format!("/admin/owners/{id}/role"), &[("role", "administrator")]).await;
    ada.post(&format!("/admin/owners/{id}/role"), &[("role", "owner")]).await;

    let own = bob.get(AUDIT).await.all("tbody td:nth-child(3)");
    assert_eq!(own[0], "made plain owner Bob");
    assert_eq!(own[1], "made administrator Bob");
    assert!(own.contains(&"set password Bob".to_owned()), "{own:?}");
    assert!(own.iter().all(|what| what.ends_with("Bob")), "{own:?}");
    assert_eq!(bob.get(AUDIT).await.all("tbody td:nth-child(2)")[0], "Ada");

    let all = ada.get(AUDIT).await.all("tbody td:nth-child(3)");
    assert!(all.iter().any(|what| what == "became administrator Ada"), "{all:?}");
    assert!(all.iter().any(|what| what == "set password Eve"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn older_changes_are_on_further_pages_each_once() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    for n in 0..60 {
        owner::local(&portal.app.db, &format!("owner {n}"), now_ms()).await.unwrap();
    }
    let first = ada.get(AUDIT).await;
    let newest = first.all("tbody td:nth-child(3)");
    assert_eq!((newest.len(), &*newest[0]), (50, "created owner 59"));
    let links = first.attributes(".pager a", "href");
    let [older] = &links[..] else { panic!("{links:?}") };
    let second = ada.get(older).await;
    let rest = second.all("tbody td:nth-child(3)");
    assert_eq!(rest[0], "created owner 9");
    assert_eq!(rest.len(), 11, "{rest:?}");
    assert_eq!(second.attributes(".pager a", "href"), [AUDIT]);
}
