//! Where the master key comes from.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use ai_proxy::catalog::seal::{MasterKey, MasterKeyError, Place, Vault};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use secrecy::ExposeSecret;

const PLACE: Place<'static> = Place { table: "t", row: "1", column: "c" };

/// Tells keys apart by what they digest to.
fn fingerprint(key: &MasterKey) -> String {
    Vault::new(key, None).digest("").hex()
}

#[test]
fn the_first_start_makes_a_key_that_only_its_owner_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let (key, old) = MasterKey::load(&data_dir, None, None).unwrap();
    assert!(old.is_none());
    let mode = fs::metadata(data_dir.join("master.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (again, _) = MasterKey::load(&data_dir, None, Some("")).unwrap();
    assert_eq!(fingerprint(&key), fingerprint(&again));
}

#[test]
fn processes_that_start_together_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let load = || fingerprint(&MasterKey::load(folder.path(), None, None).unwrap().0);
    let keys: HashSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(load)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(keys.len(), 1);
}

#[test]
fn a_key_that_is_given_comes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (of_file, _) = MasterKey::load(folder.path(), None, None).unwrap();
    let given = STANDARD.encode([0xfb; 32]);
    let (key, _) = MasterKey::load(folder.path(), Some(&given), None).unwrap();
    assert_ne!(fingerprint(&key), fingerprint(&of_file));
    for spelling in
        [format!(" {given}\n"), STANDARD_NO_PAD.encode([0xfb; 32]), URL_SAFE.encode([0xfb; 32])]
    {
        let (same, _) = MasterKey::load(folder.path(), Some(&spelling), None).unwrap();
        assert_eq!(fingerprint(&key), fingerprint(&same), "{spelling}");
    }
}

#[test]
fn the_old_key_opens_what_it_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = MasterKey::load(folder.path(), None, None).unwrap();
    let sealed = Vault::new(&first, None).seal(PLACE, "secret").unwrap();
    fs::rename(folder.path().join("master.key"), folder.path().join("master.key.old")).unwrap();
    let (current, old) = MasterKey::load(folder.path(), None, None).unwrap();
    assert_ne!(fingerprint(&current), fingerprint(&first));
    let vault = Vault::new(&current, old.as_ref());
    assert_eq!(vault.open(PLACE, &sealed).unwrap().expose_secret(), "secret");

    let given = STANDARD.encode([9; 32]);
    let (_, old) = MasterKey::load(folder.path(), None, Some(&given)).unwrap();
    assert_ne!(fingerprint(&old.unwrap()), fingerprint(&first), "what is given comes first");
}

#[test]
fn what_is_not_a_key_is_refused_by_name_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["hunter2", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])] {
        let error = MasterKey::load(folder.path(), Some(bad), None).unwrap_err();
        assert!(error.to_string().starts_with("AI_PROXY_MASTER_KEY is not"), "{error}");
        assert!(!format!("{error} {error:?}").contains(bad));
        let error = MasterKey::load(folder.path(), Some(&STANDARD.encode([1; 32])), Some(bad));
        assert!(error.unwrap_err().to_string().starts_with("AI_PROXY_MASTER_KEY_OLD is not"));
    }
    let file = folder.path().join("master.key");
    fs::write(&file, "damaged").unwrap();
    let error = MasterKey::load(folder.path(), None, None).unwrap_err();
    assert!(
        matches!(&error, MasterKeyError::Malformed { origin } if *origin == file.display().to_string())
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "damaged", "a damaged key is not replaced");
}
