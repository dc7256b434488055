//! Reading JSON-RPC bodies: no body is admitted for less than the messages that
//! even the most lenient parser of a backend could find in it.

#![no_main]

mod lenient;

use ai_proxy::proxy::mcp::peek::peek;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let whole = peek(body, true).expect("what is complete can be counted");
    for text in lenient::decodings(body) {
        let calls = lenient::messages(&text).iter().filter(|message| message.counts()).count();
        assert!(whole.counts as usize >= calls, "{calls} calls for {} in {text}", whole.counts);
    }
    if let Some(id) = &whole.id {
        assert!(!id.starts_with(['{', '[']), "an id that is no scalar is echoed: {id}");
    }

    // As the beginning of a longer body it is never free, whatever follows.
    match peek(body, false) {
        Some(beginning) => {
            assert!(beginning.counts >= 1);
            // A character that is cut in two means nothing yet.
            let texts = lenient::decodings(body).into_iter();
            for text in texts.filter(|_| body.len().is_multiple_of(4)) {
                assert!(!lenient::may_be_batch(&text), "more members may follow {text}");
            }
        }
        None => assert!(!body.starts_with(b"{\""), "one message is no batch"),
    }
});
