//! API keys and what is read out of them: an event, its shared code and a name
//! stand where the contract says or nowhere, and one name is one attendee.

#![no_main]

use ai_proxy::catalog::attendee::{name, normal_key};
use ai_proxy::proxy::authenticate::presented_key;
use ai_proxy::proxy::shared_key::Key;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    api_key: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
}

fuzz_target!(|input: Input| {
    let mut headers = HeaderMap::new();
    let mut put = |name, value: Option<&[u8]>| {
        if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
            headers.insert(name, value);
        }
    };
    put("api-key", input.api_key);
    put("authorization", input.authorization);
    let Ok(key) = presented_key(&headers) else { return };
    let shared = match &key {
        Key::Issued(key) => {
            assert!((2..=512).contains(&key.len()));
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key:?}");
            assert!(key.split_once('@').is_none_or(|(_, rest)| !rest.contains('/')), "{key}");
            assert_eq!(normal_key(key), *key, "it is spelled as it was made");
            return;
        }
        Key::Shared(shared) => shared,
    };
    assert!(!shared.event_id.contains('@') && !shared.code.contains('/'));
    let mut sent = format!("{}@{}/", shared.event_id, shared.code).into_bytes();
    sent.extend(shared.name);
    if let Some(whole) = headers.get("api-key") {
        assert_eq!(whole.as_bytes(), sent, "the api-key header decides");
    }
    let Some(normal) = &shared.normal else { return };
    let name = &normal[normal.len().min(shared.event_id.len() + shared.code.len() + 2)..];
    assert_eq!(name::normal(shared.name).as_deref(), Some(name));
    let code = shared.code.to_ascii_lowercase();
    assert_eq!(*normal, format!("{}@{code}/{name}", shared.event_id));
});
