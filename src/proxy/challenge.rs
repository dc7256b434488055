//! What has an MCP client sign in, or refresh its access token: a challenge on a 401, which names the
//! metadata of the server that was called (RFC 9728, section 5.1).

use http::header::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::call::Call;
use super::error::ProxyError;
use crate::oauth::{RESOURCE_METADATA, SCOPE};

/// What cannot be in a quoted text of a header.
const QUOTED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\\');

/// The challenge: for a call that carried no credential, or a token
/// that is dead. Never for a wrong key, which signing in would not mend.
pub(super) fn of(call: &Call<'_>, error: &ProxyError) -> Option<HeaderValue> {
    let reason = match error {
        ProxyError::MissingKey => "",
        error if error.is_of_dead_token() => r#"error="invalid_token", "#,
        _ => return None,
    };
    let (uri, headers) = (&call.head.uri, &call.head.headers);
    let base = call.worker.plane.config.asked_base_url(call.peer, uri, headers);
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let metadata = base.join(&format!("{RESOURCE_METADATA}{target}"));
    let metadata = utf8_percent_encode(&metadata, QUOTED);
    let value = format!(r#"Bearer {reason}resource_metadata="{metadata}", scope="{SCOPE}""#);
    HeaderValue::try_from(value).ok()
}
