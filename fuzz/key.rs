//! API keys and what is read out of them: an event, its shared code and a name
//! stand where the contract says or nowhere, and one name is one attendee.

#![no_main]

use ai_proxy::catalog::attendee::shared_user_id;
use ai_proxy::proxy::authenticate::{SharedKey, presented_key};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    api_key: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    other_name: &'a str,
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

    assert!((2..=512).contains(&key.len()));
    assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key:?}");
    if let Some(sent) = headers.get("api-key") {
        assert_eq!(key.as_bytes(), sent.as_bytes(), "the api-key header decides");
    }

    let marks = key.find('@').and_then(|at| Some((at, at + key[at..].find('/')?)));
    let shared = SharedKey::parse(key);
    assert_eq!(shared.is_some(), marks.is_some(), "{key}");
    let (Some(shared), Some((at, slash))) = (shared, marks) else { return };
    assert_eq!(shared.event_id, &key[..at]);
    assert_eq!(shared.code, &key[at + 1..slash]);
    assert_eq!(shared.name, &key[slash + 1..]);

    let id = |name: &str| shared_user_id(shared.event_id, name);
    let same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
    assert_eq!(id(shared.name), id(&format!(" {}\t", shared.name.to_ascii_uppercase())));
    assert_eq!(id(shared.name) == id(input.other_name), same(shared.name, input.other_name));
});
