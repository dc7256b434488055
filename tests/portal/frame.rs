//! What all pages have in common.

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, STRICT_TRANSPORT_SECURITY};

use crate::harness::{Page, Portal};

fn is_guarded(page: &Page) {
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert_eq!(page.headers["referrer-policy"], "same-origin");
    assert!(page.headers.contains_key("x-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_small_guarded_and_kept_by_nobody() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let (stranger, setup) = (portal.visitor(), portal.first_link().await);
    for (visitor, path) in [
        (&stranger, "/admin/sign-in"),
        (&stranger, &*setup),
        (&ada, "/admin"),
        (&ada, "/admin/account"),
        (&ada, "/admin/audit"),
        (&ada, "/admin/audit/sign-ins"),
        (&ada, "/admin/resources"),
        (&ada, "/admin/resources/new"),
        (&ada, "/admin/events"),
        (&ada, "/admin/events/new"),
        (&ada, "/admin/reports"),
        (&ada, "/admin/owners"),
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        is_guarded(&page);
        assert_eq!(page.headers[CACHE_CONTROL], "no-store", "{path}");
        assert!(page.body.len() < 50_000, "{path}: {} bytes", page.body.len());
        for inline in ["style=", "<style", "onclick=", "javascript:"] {
            assert!(!page.body.contains(inline), "{path}: {inline}");
        }
        assert_eq!(page.all("h1").len(), 1, "{path}");
        assert!(page.all("script:not([src])").is_empty(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_for_good_and_named_by_what_they_hold() {
    let portal = Portal::start().await;
    let visitor = portal.visitor();
    let page = visitor.get("/admin/sign-in").await;
    for (selector, attribute, kind) in [
        ("link[rel=stylesheet]", "href", "text/css; charset=utf-8"),
        ("script", "src", "text/javascript; charset=utf-8"),
        ("link[rel=icon]", "href", "image/svg+xml"),
    ] {
        let path = page.attribute(selector, attribute).unwrap();
        let asset = visitor.get(&path).await;
        assert_eq!(asset.headers[CONTENT_TYPE], kind);
        assert_eq!(asset.headers[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert!(asset.body.len() < 30_000);
        is_guarded(&asset);
    }
    assert_eq!(visitor.get("/assets/app.0.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_page_here_and_json_where_clients_probe() {
    let portal = Portal::with(&["--oauth", "off"]).await;
    let visitor = portal.visitor();
    let page = visitor.get("/admin/nowhere").await;
    assert_eq!((page.status, page.text("h1")), (StatusCode::NOT_FOUND, "Not found".to_owned()));
    is_guarded(&page);
    assert_eq!(visitor.get("/admin/sign-out").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(visitor.post("/admin/sign-in", &[]).await.status, StatusCode::BAD_REQUEST);
    for path in
        ["/.well-known/oauth-authorization-server", "/register", "/revoke", "/api/v1/nowhere"]
    {
        let answer = visitor.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json", "{path}");
    }
    assert_eq!(visitor.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(visitor.get("/").await.text("h1"), "Welcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn sections_for_administrators_are_shown_to_them() {
    let portal = Portal::start().await;
    let sections = |page: Page| page.all(".side li a");
    let ada = sections(portal.administrator("Ada").await.get("/admin").await);
    let bob = sections(portal.owner("Bob").await.get("/admin").await);
    assert_eq!(ada, ["Home", "Resources", "Events", "Reports", "Backup", "Owners", "Audit", "Ada"]);
    assert_eq!(bob, ["Home", "Resources", "Events", "Reports", "Backup", "Audit", "Bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_to_a_page() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    portal.owner("Bob").await;
    let mut paths = vec!["/admin".to_owned(), "/admin/sign-in".into(), "/admin/nowhere".into()];
    let mut seen = 0;
    while let Some(path) = paths.get(seen).cloned() {
        seen += 1;
        let page = ada.get(&path).await;
        let is_there = page.status != StatusCode::NOT_FOUND || path == "/admin/nowhere";
        assert!(is_there, "{path}");
        for link in page.attributes("a", "href") {
            if !link.starts_with('#') && !paths.contains(&link) {
                paths.push(link);
            }
        }
    }
    assert!(paths.iter().any(|path| path.ends_with("/deactivate")), "{paths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_is_in_nobodys_name() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    for path in [
        "/admin/events/%00",
        "/admin/events/a%00b/attendees/%00",
        "/admin/events/%00/metrics/usage.csv",
        "/admin/resources/%00",
        "/admin/setup/%00",
        "/admin/tokens/%00/revoke",
        "/admin/backup/restore/%00",
        "/admin/audit?before=%00",
        "/claim?code=%00",
        "/assets/%00",
    ] {
        assert_eq!(ada.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["events/%00", "events/%00/attendees/%00", "resources/%00"] {
        let answer = ada.get(&format!("/api/admin/v1/{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.body.contains("\"code\""), "{path}: {}", answer.body);
    }
    for (path, fields) in [
        ("/claim", vec![("code", "\0")]),
        ("/admin/sign-in", vec![("name", "a\0"), ("password", "no")]),
        ("/admin/owners", vec![("name", "a\0")]),
        ("/admin/events/new", vec![("name", "a\0"), ("resource", "\0")]),
        ("/admin/events/a1b2-c3d4/attendees/deleted", vec![("user_id", "shared:\0")]),
        ("/admin/resources/new", vec![("name", "a"), ("copy_of", "\0")]),
    ] {
        let page = ada.post(path, &fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", page.body);
        assert!(page.body.contains("holds a NUL character"), "{path}: {}", page.body);
    }
    let page = ada.upload("/admin/events/a1b2-c3d4/attendees", &[], b"a\0\n").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.body);
    // What only looks like one when it is sent.
    let page = portal.visitor().post("/claim", &[("code", "%00 %2500")]).await;
    assert!(!page.body.contains("NUL"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_stay_with_https_where_it_is_used() {
    let told = async |portal: &Portal, host: &str, proto: &str, path: &str| {
        let request = portal.visitor().client.get(format!("{}{path}", portal.url));
        let request = request.header(HOST, host).header("x-forwarded-proto", proto);
        let answer = request.send().await.unwrap();
        answer
            .headers()
            .get(STRICT_TRANSPORT_SECURITY)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let public = &["--public-url", "https://proxy.example"][..];
    let front = &["--trusted-proxies", "127.0.0.0/8", "--hsts", "600"][..];
    let never = &["--public-url", "https://proxy.example", "--hsts", "0"][..];
    for (settings, host, proto, value) in [
        (&[][..], "127.0.0.1", "https", None),
        (public, "proxy.example", "http", Some("max-age=86400")),
        (public, "other.example", "https", None),
        (front, "other.example", "https", Some("max-age=600")),
        (front, "other.example", "http", None),
        (never, "proxy.example", "https", None),
    ] {
        let portal = Portal::with(settings).await;
        // A page, what is not there, and the data plane.
        for path in ["/claim", "/nowhere", "/api/v1/mcp/demo/mcp"] {
            assert_eq!(told(&portal, host, proto, path).await.as_deref(), value, "{host} {path}");
        }
    }
}
