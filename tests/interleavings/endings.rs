//! A call that is let in by an attendee's old row hears the end that the row's change brings.
//! The attendee is in the table of [`LiveAttendees`] already, because loom does not see the
//! table's lock.

use std::sync::Arc;

use ai_proxy::catalog::Digest;
use ai_proxy::proxy::attendee::live::{Endings, LiveAttendee, LiveAttendees, Means};
use http::Method;
use loom::sync::Mutex;
use loom::thread;

/// An attendee's row in the store, and what this process keeps of them.
struct Attendee {
    is_active: Mutex<bool>,
    lives: LiveAttendees,
}

impl Attendee {
    fn active() -> Arc<Self> {
        let ada = Self { is_active: Mutex::new(true), lives: LiveAttendees::default() };
        ada.lives.enter("ada", "event");
        Arc::new(ada)
    }

    /// The row as a call reads it: whether it is active, and of which generation it is.
    fn read(&self) -> (Arc<LiveAttendee>, bool, u64) {
        let changes = self.lives.changes();
        let is_active = *self.is_active.lock().unwrap();
        let (live, _) = self.lives.enter("ada", "event");
        let generation = self.lives.generation_of_row(&live, changes);
        (live, is_active, generation)
    }

    /// An organiser switches the attendee off, and upkeep takes the change in.
    fn switch_off(&self) {
        *self.is_active.lock().unwrap() = false;
        if let Some(live) = self.lives.row_changed("ada") {
            live.end_all();
        }
    }
}

fn assert_over(endings: Option<Arc<Endings>>) {
    if let Some(endings) = endings {
        assert!(endings.of(&Method::GET).is_over(), "a stream");
        assert!(endings.of(&Method::POST).is_over(), "a call");
    }
}

#[test]
fn a_caller_known_by_the_old_row_hears_its_end() {
    loom::model(|| {
        let ada = Attendee::active();
        let (live, is_active, generation) = ada.read();
        assert!(is_active);
        let call =
            thread::spawn(move || live.endings_of(generation, &Means::Key(Digest::sha256(b"key"))));
        ada.switch_off();
        assert_over(call.join().unwrap());
    });
}

#[test]
fn a_caller_whose_row_is_read_during_its_change_hears_its_end() {
    loom::model(|| {
        let ada = Attendee::active();
        let reader = ada.clone();
        let call = thread::spawn(move || {
            let (live, is_active, generation) = reader.read();
            is_active
                .then(|| live.endings_of(generation, &Means::Key(Digest::sha256(b"key"))))
                .flatten()
        });
        ada.switch_off();
        assert_over(call.join().unwrap());
    });
}
