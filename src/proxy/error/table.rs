//! The table of refusals: an arm for each says its status, its stable machine code, the
//! seconds after which trying again may help, a sentence and the facts to act on. No
//! sentence is written before it is asked for, so that a status or a code alone costs nothing.

use http::StatusCode;

use super::{Held as Wait, Organizer, ProxyError};
use crate::catalog::event::Shut;
use crate::clock;

/// What a client learns of one refusal.
pub(super) struct Row<'r> {
    pub status: StatusCode,
    pub code: &'static str,
    /// Seconds after which trying again may help, where it may.
    pub retry_after: Option<u64>,
    pub sentence: &'r dyn Fn() -> String,
    pub facts: &'r [Fact<'r>],
}

/// Something to act on, under the name that programs read.
pub(super) enum Fact<'r> {
    Text(&'static str, &'r str),
    Names(&'static str, &'r [String]),
    Number(&'static str, u64),
    /// UTC milliseconds since 1970.
    Time(&'static str, i64),
    /// The event, and the name and address of its organiser.
    Contact(&'r Organizer),
}

macro_rules! table {
    ($(
        $refusal:pat $(if $guard:expr)? => $status:ident, $code:literal, $retry_after:expr,
        ($sentence:literal $(, $argument:expr)*), [$($fact:expr),*];
    )+) => {
        /// The code of each row. Rows that call for the same answer share one.
        pub const CODES: &[&str] = &[$($code),+];

        impl ProxyError {
            /// Reads this refusal's row.
            pub(super) fn row<T>(&self, read: impl FnOnce(Row<'_>) -> T) -> T {
                use Fact::*;
                use ProxyError::*;
                match self {
                    $($refusal $(if $guard)? => read(Row {
                        status: StatusCode::$status,
                        code: $code,
                        retry_after: $retry_after,
                        sentence: &|| format_args!($sentence $(, $argument)*).to_string(),
                        facts: &[$($fact),*],
                    }),)+
                }
            }
        }
    };
}

table! {
    MissingKey => UNAUTHORIZED, "missing_api_key", None,
        ("No API key was sent. Send the key of your event in an api-key header, or as \
          Authorization: Bearer."),
        [];
    InvalidKey => UNAUTHORIZED, "invalid_api_key", None,
        ("This API key is not known here. Copy it again, without spaces, from where you were \
          given it."),
        [];
    PortalToken => UNAUTHORIZED, "invalid_api_key", None,
        ("This is an API token of the portal, which works at /api/admin/v1 only. Send the key of an \
          attendee, which begins with aik_."),
        [];
    NameNotUsable => UNAUTHORIZED, "name_not_usable", None,
        ("The shared code is right, but the name after it cannot be used. A name has 2 to 64 \
          characters and no control characters; send letters other than A to Z in UTF-8 or \
          percent-encoded."),
        [];
    EventFull(of) => UNAUTHORIZED, "event_full", None,
        ("As many people as \"{}\" has places for have joined with its shared code. {}",
         of.event, of.ask()),
        [Contact(of)];
    RegistrationClosed(of, Shut::Stopped) => UNAUTHORIZED, "registration_closed", None,
        ("Nobody new can join \"{}\" at the moment. {}", of.event, of.ask()),
        [Contact(of)];
    RegistrationClosed(of, Shut::Closed) => UNAUTHORIZED, "registration_closed", None,
        ("Nobody new can join \"{}\" in this way. {}", of.event, of.ask()),
        [Contact(of)];
    NotSignedIn => UNAUTHORIZED, "not_signed_in", None,
        ("Nobody is signed in to this event here. Sign in on the event's page with a card, the \
          shared code or GitHub, or call through the gateway that signs you in."),
        [];
    NotRegistered(of) => NOT_FOUND, "not_registered", None,
        ("You are signed in, but have not joined \"{}\" yet. Send a POST request to this address, \
          with /register at its end.", of.event),
        [Contact(of)];
    AttendeeDisabled(of) => UNAUTHORIZED, "attendee_disabled", None,
        ("Your key for \"{}\" has been switched off. {}", of.event, of.ask()),
        [Contact(of)];
    EventInactive(of) => UNAUTHORIZED, "event_inactive", None,
        ("\"{}\" is switched off at the moment. {}", of.event, of.ask()),
        [Contact(of)];
    EventNotStarted(of, at) => UNAUTHORIZED, "event_not_started", None,
        ("\"{}\" has not started yet: your key works from {}. {}",
         of.event, clock::rfc3339(*at), of.ask()),
        [Contact(of), Time("starts_at", *at)];
    EventEnded(of, at) => UNAUTHORIZED, "event_ended", None,
        ("\"{}\" ended at {}. {}", of.event, clock::rfc3339(*at), of.ask()),
        [Contact(of), Time("ended_at", *at)];
    InvalidToken => UNAUTHORIZED, "invalid_token", None,
        ("Your sign-in is not known here, has expired or is for another server. Sign in again."),
        [];
    TokenEnded(of, at) => UNAUTHORIZED, "event_ended", None,
        ("\"{}\" ended at {}. {}", of.event, clock::rfc3339(*at), of.ask()),
        [Contact(of), Time("ended_at", *at)];
    Held(of, Wait::Disabled) => FORBIDDEN, "attendee_disabled", None,
        ("Your access to \"{}\" is switched off. {} You stay signed in.", of.event, of.ask()),
        [Contact(of)];
    Held(of, Wait::Inactive) => FORBIDDEN, "event_inactive", None,
        ("\"{}\" is paused at the moment. {} You stay signed in.", of.event, of.ask()),
        [Contact(of)];
    Held(of, Wait::NotStarted(at)) => FORBIDDEN, "event_not_started", None,
        ("\"{}\" starts at {}. {} You stay signed in.", of.event, clock::rfc3339(*at), of.ask()),
        [Contact(of), Time("starts_at", *at)];
    OriginNotAllowed => FORBIDDEN, "origin_not_allowed", None,
        ("Pages of this origin may not call the proxy. The operator can allow it with \
          --allowed-origins."),
        [];
    RouteNotFound => NOT_FOUND, "route_not_found", None,
        ("There is nothing at this path. MCP servers are under /api/v1/mcp/{{deployment}}."),
        [];
    NoSignIn => NOT_FOUND, "route_not_found", None,
        ("There is no sign-in here. The API key of the request before was missing or refused: \
          check the key in your client's settings, in an api-key header or as Authorization: \
          Bearer."),
        [];
    EventNotFound => NOT_FOUND, "event_not_found", None,
        ("There is no event with this id. Check the link."),
        [];
    DeploymentNotFound { deployment, available } if available.is_empty() =>
        NOT_FOUND, "deployment_not_found", None,
        ("Your event has no deployment named \"{deployment}\", and none of this type at all."),
        [Text("deployment", deployment), Names("available", available)];
    DeploymentNotFound { deployment, available } => NOT_FOUND, "deployment_not_found", None,
        ("Your event has no deployment named \"{deployment}\" here. Available: {}.",
         available.join(", ")),
        [Text("deployment", deployment), Names("available", available)];
    DeploymentOff { deployment, organizer } => NOT_FOUND, "deployment_off", None,
        ("\"{deployment}\" is switched off at the moment. Your URL and key are right. {}",
         organizer.ask()),
        [Text("deployment", deployment), Contact(organizer)];
    SessionNotFound => NOT_FOUND, "session_not_found", None,
        ("This MCP session is over or is not yours. Initialize a new one, without an \
          Mcp-Session-Id header."),
        [];
    InvalidPath => BAD_REQUEST, "invalid_path", None,
        ("The path has an empty, dot or encoded-slash segment, a backslash or a control \
          character. Send it plainly."),
        [];
    AmbiguousFraming => BAD_REQUEST, "ambiguous_framing", None,
        ("The request cannot be framed safely: it says its length more than once, or has lines \
          that do not end in CRLF. Send one Content-Length or Transfer-Encoding: chunked."),
        [];
    BodyNotAllowed => BAD_REQUEST, "body_not_allowed", None,
        ("GET and DELETE requests may not have a body here. Send the request without one."),
        [];
    BodyIncomplete => BAD_REQUEST, "body_incomplete", None,
        ("The request ended before all of its body had arrived. Send it again."),
        [];
    MethodNotAllowed { allow } => METHOD_NOT_ALLOWED, "method_not_allowed", None,
        ("This method is not served here. Allowed: {allow}."),
        [];
    BodyTooLarge { limit } => PAYLOAD_TOO_LARGE, "body_too_large", None,
        ("The request body is larger than the {limit} bytes that are accepted here."),
        [Number("limit", *limit)];
    UnsupportedMediaType => UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", None,
        ("The request body is compressed or not in UTF-8, so the calls in it cannot be counted. \
          Send plain JSON."),
        [];
    RateLimited { retry_after } => TOO_MANY_REQUESTS, "rate_limited", Some(*retry_after),
        ("You are calling faster than your event allows. Try again in {retry_after} s."),
        [];
    BatchOverBurst { burst } => TOO_MANY_REQUESTS, "rate_limited", Some(1),
        ("This batch has more messages than your event allows at once. Send at most {burst} in \
          one batch."),
        [];
    TooManyOpenRequests { limit } => TOO_MANY_REQUESTS, "too_many_open_requests", Some(1),
        ("You have {limit} requests and streams open, the most your event allows. Close some."),
        [Number("limit", (*limit).into())];
    TooManyAttempts { retry_after } =>
        TOO_MANY_REQUESTS, "too_many_attempts", Some(*retry_after),
        ("Too many unknown keys, codes or event ids came from your address. Check yours and try \
          again in {retry_after} s."),
        [];
    DailyCapReached { used, limit, resets_at, retry_after } =>
        TOO_MANY_REQUESTS, "daily_cap_reached", Some(*retry_after),
        ("You have used {used} of today's {limit} requests. The count starts anew at {}.",
         clock::rfc3339(*resets_at)),
        [Number("used", *used), Number("limit", *limit), Time("resets_at", *resets_at)];
    BackendRedirect { deployment } => BAD_GATEWAY, "backend_redirect", None,
        ("The server behind \"{deployment}\" answered with a redirect that is not followed. Tell \
          your organiser: its endpoint URL needs correcting."),
        [Text("deployment", deployment)];
    BackendClosed { deployment } => BAD_GATEWAY, "backend_closed", None,
        ("The server behind \"{deployment}\" closed the connection before it answered. It may \
          have received the request. Try again; if it keeps happening, tell your organiser."),
        [Text("deployment", deployment)];
    BackendProtocol { deployment } => BAD_GATEWAY, "backend_protocol_error", None,
        ("The server behind \"{deployment}\" gave no valid HTTP answer. Tell your organiser."),
        [Text("deployment", deployment)];
    BackendUnreachable { deployment } => SERVICE_UNAVAILABLE, "backend_unreachable", Some(5),
        ("The server behind \"{deployment}\" cannot be reached. Try again in a moment, then tell \
          your organiser."),
        [Text("deployment", deployment)];
    BackendTimeout { deployment } => SERVICE_UNAVAILABLE, "backend_timeout", Some(5),
        ("The server behind \"{deployment}\" did not answer in time. Try again."),
        [Text("deployment", deployment)];
    StoreUnavailable => SERVICE_UNAVAILABLE, "store_unavailable", Some(5),
        ("The proxy cannot reach its store, and admits no call that it could not account for. \
          Try again in a moment."),
        [];
    ShuttingDown => SERVICE_UNAVAILABLE, "shutting_down", Some(5),
        ("The proxy is shutting down. Try again in a moment."),
        [];
}

impl ProxyError {
    pub fn status(&self) -> StatusCode {
        self.row(|row| row.status)
    }

    /// The stable machine code.
    pub fn code(&self) -> &'static str {
        self.row(|row| row.code)
    }
}
