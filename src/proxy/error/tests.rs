//! What clients get of each refusal, byte for byte.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use http_body_util::BodyExt;

use super::table::CODES;
use super::*;

fn organizer() -> Organizer {
    Organizer {
        event: "Agents \"101\"".into(),
        name: "Grace".into(),
        email: "grace@example.org".into(),
    }
}

/// One of each refusal, two where its text depends on what it holds.
fn refusals() -> Vec<ProxyError> {
    use ProxyError::*;
    let (deployment, organizer) = (|| "mcp-demo".to_owned(), organizer);
    let noon = 1_800_014_400_000;
    vec![
        MissingKey,
        InvalidKey,
        PortalToken,
        NameNotUsable,
        EventFull(organizer()),
        RegistrationClosed(organizer(), Shut::Stopped),
        RegistrationClosed(organizer(), Shut::Closed),
        NotSignedIn,
        NotRegistered(organizer()),
        AttendeeDisabled(organizer()),
        EventInactive(organizer()),
        EventNotStarted(organizer(), noon),
        EventEnded(organizer(), noon),
        InvalidToken,
        TokenEnded(organizer(), noon),
        Held(organizer(), super::Held::Disabled),
        Held(organizer(), super::Held::Inactive),
        Held(organizer(), super::Held::NotStarted(noon)),
        OriginNotAllowed,
        RouteNotFound,
        NoSignIn,
        EventNotFound,
        DeploymentNotFound { deployment: deployment(), available: Vec::new() },
        DeploymentNotFound { deployment: deployment(), available: vec!["a".into(), "b".into()] },
        DeploymentOff { deployment: deployment(), organizer: organizer() },
        SessionNotFound,
        InvalidPath,
        AmbiguousFraming,
        BodyIncomplete,
        BodyNotAllowed,
        MethodNotAllowed { allow: "GET, POST" },
        BodyTooLarge { limit: 65_536 },
        UnsupportedMediaType,
        RateLimited { retry_after: 7 },
        BatchOverBurst { burst: 5 },
        TooManyOpenRequests { limit: 9 },
        TooManyAttempts { retry_after: 60 },
        DailyCapReached { used: 100, limit: 100, resets_at: noon, retry_after: 43_200 },
        BackendRedirect { deployment: deployment() },
        BackendClosed { deployment: deployment() },
        BackendProtocol { deployment: deployment() },
        BackendUnreachable { deployment: deployment() },
        BackendTimeout { deployment: deployment() },
        StoreUnavailable,
        ShuttingDown,
    ]
}

#[test]
fn each_code_is_listed_and_no_other() {
    let made: BTreeSet<_> = refusals().iter().map(ProxyError::code).collect();
    assert_eq!(made, BTreeSet::from_iter(CODES.iter().copied()));
}

/// A response as text, its headers in their order.
async fn shown(error: ProxyError, shape: Shape) -> String {
    let (head, body) = error.into_response(shape).into_parts();
    let mut text = format!("{}\n", head.status.as_u16());
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", value.to_str().expect("a plain value"));
    }
    let body = body.collect().await.expect("a body of the proxy's own").to_bytes();
    text + std::str::from_utf8(&body).expect("JSON") + "\n"
}

#[tokio::test]
async fn refusals_go_to_clients_as_ever() {
    let mut all = String::new();
    for refusal in refusals() {
        let _ = writeln!(all, "# {refusal:?}");
        all += &shown(refusal.clone(), Shape::Plain).await;
        all += &shown(refusal, Shape::JsonRpc { id: Some("\"a\"".into()) }).await;
    }
    insta::assert_snapshot!(all);
}
