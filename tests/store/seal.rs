//! Sealed text opens in its own place, whole, and nowhere else.

use ai_proxy::catalog::seal::{Error, Place, Vault};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use crate::harness::master_key;

const PLACE: Place<'static> = Place { table: "resource", row: "1", column: "key_sealed" };

fn vault() -> Vault {
    Vault::new(&master_key(1), None)
}

proptest! {
    #[test]
    fn what_was_sealed_opens_as_it_was(text in any::<String>(), row in any::<String>()) {
        let (vault, place) = (vault(), Place { row: &row, ..PLACE });
        let sealed = vault.seal(place, &text).unwrap();
        let opened = vault.open(place, &sealed).unwrap();
        prop_assert_eq!(opened.expose_secret(), text.as_str());
        if text.len() > 8 {
            prop_assert!(!sealed.contains(&text));
        }
        prop_assert_ne!(vault.seal(place, &text).unwrap(), sealed, "sealed anew, it differs");
    }

    #[test]
    fn no_byte_of_it_can_be_altered(
        text in ".{0,40}", at in any::<prop::sample::Index>(), byte in 0_u8..128,
    ) {
        let vault = vault();
        let mut bytes = vault.seal(PLACE, &text).unwrap().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(vault.open(PLACE, &String::from_utf8(bytes).unwrap()).is_err());
    }

    #[test]
    fn no_byte_can_be_dropped_or_added(
        text in ".{0,40}", at in any::<prop::sample::Index>(), byte in "[ -~]",
    ) {
        let vault = vault();
        let sealed = vault.seal(PLACE, &text).unwrap();
        let at = at.index(sealed.len());
        let (head, tail) = sealed.split_at(at);
        let (dropped, added) = (format!("{head}{}", &tail[1..]), format!("{head}{byte}{tail}"));
        for altered in [dropped.as_str(), added.as_str(), head] {
            prop_assert!(vault.open(PLACE, altered).is_err());
        }
    }

    #[test]
    fn it_is_worthless_in_another_row(row in any::<String>(), other in any::<String>()) {
        prop_assume!(row != other);
        let vault = vault();
        let sealed = vault.seal(Place { row: &row, ..PLACE }, "secret").unwrap();
        let moved = vault.open(Place { row: &other, ..PLACE }, &sealed);
        let refused = matches!(moved, Err(Error::Broken { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn garbage_is_an_error_and_no_panic(sealed in any::<String>(), body in "[A-Za-z0-9_-]{0,60}") {
        let vault = vault();
        let genuine = vault.seal(PLACE, "secret").unwrap();
        let key_id = genuine.split('.').nth(1).unwrap();
        prop_assert!(vault.open(PLACE, &sealed).is_err());
        let forged = format!("v1.{key_id}.{body}");
        prop_assert!(vault.open(PLACE, &forged).is_err());
    }

    #[test]
    fn digests_differ_by_text_and_by_key(a in any::<String>(), b in any::<String>()) {
        prop_assume!(a != b);
        let vault = Vault::new(&master_key(1), Some(&master_key(2)));
        prop_assert_eq!(vault.digest(&a), vault.digest(&a));
        prop_assert_ne!(vault.digest(&a), vault.digest(&b));
        prop_assert_ne!(Some(vault.digest(&a)), vault.old_digest(&a));
        let old = Vault::new(&master_key(2), None);
        prop_assert_eq!(vault.old_digest(&a), Some(old.digest(&a)));
    }
}

#[test]
fn it_is_worthless_in_another_table_or_column() {
    let vault = vault();
    let sealed = vault.seal(PLACE, "secret").unwrap();
    for moved in [Place { table: "event", ..PLACE }, Place { column: "endpoint_sealed", ..PLACE }] {
        assert!(matches!(vault.open(moved, &sealed), Err(Error::Broken { .. })), "{moved:?}");
    }
}

#[test]
fn each_key_opens_its_own_and_a_stranger_is_told_by_its_id() {
    let (old, new) = (vault(), Vault::new(&master_key(2), None));
    let both = Vault::new(&master_key(2), Some(&master_key(1)));
    let (by_old, by_new) = (old.seal(PLACE, "a").unwrap(), new.seal(PLACE, "b").unwrap());
    assert_eq!(both.open(PLACE, &by_old).unwrap().expose_secret(), "a");
    assert_eq!(both.open(PLACE, &by_new).unwrap().expose_secret(), "b");
    assert_eq!(new.open(PLACE, &both.seal(PLACE, "c").unwrap()).unwrap().expose_secret(), "c");
    let Err(Error::UnknownKey { key_id, .. }) = new.open(PLACE, &by_old) else {
        panic!("the new key alone cannot open it");
    };
    assert_eq!(by_old.split('.').nth(1), Some(key_id.as_str()));
}

#[test]
fn debug_output_shows_no_key() {
    let shown = format!("{:?} {:?}", master_key(b'A'), Vault::new(&master_key(b'A'), None));
    assert!(
        !shown.contains("AAAA") && !shown.contains("65, 65") && !shown.contains("QUFB"),
        "{shown}"
    );
}
