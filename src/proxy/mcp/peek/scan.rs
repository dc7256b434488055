//! What the bytes of a body say where no parser can read it, or not for certain: of which
//! form it is, and how many messages it may hold. It errs towards more.

/// What the first bytes of a body say of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Object,
    Batch,
    Unclear,
}

/// The form of a body, by its first byte that is not passed over.
pub(super) fn form(body: &[u8]) -> Form {
    // Byte-order marks, and the NULs of UTF-16 and UTF-32, as Python skips them.
    let skipped = |byte: &&u8| {
        !matches!(**byte, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff)
    };
    match body.iter().find(skipped) {
        Some(b'{') if body.first() != Some(&0) && body.get(1) != Some(&0) => Form::Object,
        Some(b'[') => Form::Batch,
        _ => Form::Unclear,
    }
}

/// How many JSON objects begin in `body` that are not inside of another: some
/// backends read one after the other.
pub(super) fn top_level_objects(body: &[u8]) -> u32 {
    let (mut objects, mut depth, mut rest) = (0, 0_u32, body);
    while let Some(at) = memchr::memchr3(b'{', b'}', b'"', rest) {
        let byte = rest[at];
        rest = &rest[at + 1..];
        match byte {
            b'{' => {
                objects += u32::from(depth == 0);
                depth += 1;
            }
            b'}' => depth = depth.saturating_sub(1),
            _ => rest = after_string(rest),
        }
    }
    objects
}

/// The bytes after a JSON string whose opening quote has been read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let skipped = if rest[at] == b'"' { 1 } else { 2 };
        let next = rest.get(at + skipped..).unwrap_or_default();
        if skipped == 1 {
            return next;
        }
        rest = next;
    }
    &[]
}
