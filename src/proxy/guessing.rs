//! Guessing shared codes. Everything else that a caller presents has 60 random
//! bits or more; a code is short, because it is said aloud.
//!
//! Wrong codes of an event are counted for each source (IPv6: a site). Past the limit, codes
//! that this source presents for this event are compared one a second; names
//! that have joined before go first. Keys that are cached never come here.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::catalog::{self, event};
use crate::clock::MINUTE_MS;
use crate::db::Db;
use crate::net::source_site;

/// Wrong codes of an event that a source may present in a minute before it waits.
const FREE_A_MINUTE: u32 = 30;

/// Time between two comparisons for a source that waits.
const TURN: Duration = Duration::from_secs(1);

/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls that can have a turn in that time.
const PLACES: usize = 10;

/// Maximum number of sources and events that are counted by themselves. Beyond it the sources
/// of an event are counted together.
const DOORS: usize = 65_536;

/// All doors, and what is yet to be written about them.
#[derive(Default)]
pub(super) struct Guesses {
    doors: DashMap<(IpAddr, String), Arc<Door>>,
    /// Tries past the limit by event and minute, for the organiser.
    tries: Mutex<HashMap<(String, i64), u32>>,
}

/// Counts the wrong codes of one source for one event, and has the rest wait.
#[derive(Default)]
pub(super) struct Door(Mutex<State>);

#[derive(Default)]
struct State {
    /// UTC minute of `wrong`, and what it was the minute before.
    minute: i64,
    wrong: u32,
    wrong_before: u32,
    joined: VecDeque<oneshot::Sender<()>>,
    others: VecDeque<oneshot::Sender<()>>,
    last_turn: Option<Instant>,
    /// Whether a task gives out the turns.
    is_attended: bool,
}

/// The result of presenting a code.
pub(super) enum Comparison {
    Right,
    Wrong,
    /// It was not compared: it has to wait at this door.
    Wait(Arc<Door>),
}

/// Seconds after which a call that got no turn may come again.
pub(super) const RETRY_AFTER: u64 = PATIENCE.as_secs();

impl Guesses {
    /// Compares a code by `is_right`, unless too many from this source were wrong.
    pub(super) fn compare(
        &self,
        source: IpAddr,
        event_id: &str,
        now_ms: i64,
        is_right: impl FnOnce() -> bool,
    ) -> Comparison {
        let mut key = (source_site(source), event_id.to_owned());
        if self.doors.len() >= DOORS && !self.doors.contains_key(&key) {
            key.0 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
        let door = self.doors.entry(key).or_default().clone();
        // Compared under the lock, or many at once would all be free.
        let mut state = door.0.lock();
        state.turn_to(now_ms);
        if state.is_narrow() {
            drop(state);
            return Comparison::Wait(door);
        }
        if is_right() {
            return Comparison::Right;
        }
        state.wrong += 1;
        Comparison::Wrong
    }

    /// Notes a try past the limit, for the organiser.
    pub(super) fn warn(&self, event_id: &str, now_ms: i64) {
        let minute = now_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        let mut tries = self.tries.lock();
        let count = tries.entry((event_id.to_owned(), minute)).or_default();
        *count = count.saturating_add(1);
    }

    /// Forgets what is written. Until then it stays, also where a report is given up
    /// on the way.
    fn written(&self, written: &HashMap<(String, i64), u32>) {
        let mut tries = self.tries.lock();
        for (key, count) in written {
            if let Some(left) = tries.get_mut(key) {
                *left = left.saturating_sub(*count);
            }
        }
        tries.retain(|_, left| *left > 0);
    }

    /// Forgets the doors at which nothing happens.
    fn sweep(&self, now_ms: i64) {
        let minute = now_ms.div_euclid(MINUTE_MS);
        self.doors
            .retain(|_, door| Arc::strong_count(door) > 1 || door.0.lock().minute >= minute - 1);
    }
}

impl Door {
    /// Waits for a turn to be compared. `false`: there is none in time.
    pub(super) async fn turn(self: &Arc<Self>, control: &Handle, has_joined: bool) -> bool {
        let (give, turn) = oneshot::channel();
        {
            let mut state = self.0.lock();
            if !state.has_place(has_joined) {
                return false;
            }
            let queue = if has_joined { &mut state.joined } else { &mut state.others };
            queue.push_back(give);
            if !std::mem::replace(&mut state.is_attended, true) {
                control.spawn(attend(self.clone()));
            }
        }
        matches!(tokio::time::timeout(PATIENCE, turn).await, Ok(Ok(())))
    }

    /// Whether anybody could still get a turn: where not, nothing is looked up for it.
    pub(super) fn has_place(&self) -> bool {
        self.0.lock().has_place(true)
    }

    /// Counts a code that was wrong when its turn came.
    pub(super) fn was_wrong(&self, now_ms: i64) {
        let mut state = self.0.lock();
        state.turn_to(now_ms);
        state.wrong = state.wrong.saturating_add(1);
    }
}

impl State {
    fn turn_to(&mut self, now_ms: i64) {
        let minute = now_ms.div_euclid(MINUTE_MS);
        if minute != self.minute {
            self.wrong_before = if minute == self.minute + 1 { self.wrong } else { 0 };
            (self.minute, self.wrong) = (minute, 0);
        }
    }

    /// Also in the minute after too many: whoever continues to guess gets no free tries.
    fn is_narrow(&self) -> bool {
        self.wrong >= FREE_A_MINUTE || self.wrong_before >= FREE_A_MINUTE
    }

    fn has_place(&mut self, has_joined: bool) -> bool {
        self.joined.retain(|call| !call.is_closed());
        self.others.retain(|call| !call.is_closed());
        let before = self.joined.len() + if has_joined { 0 } else { self.others.len() };
        before < PLACES
    }

    /// Gives the next call its turn; whether there was one.
    fn give_turn(&mut self) -> bool {
        while let Some(call) = self.joined.pop_front().or_else(|| self.others.pop_front()) {
            if call.send(()).is_ok() {
                self.last_turn = Some(Instant::now());
                return true;
            }
        }
        self.is_attended = false;
        false
    }
}

/// Gives out the turns of a door until nobody waits at it.
async fn attend(door: Arc<Door>) {
    loop {
        let next = door.0.lock().last_turn.map(|last| last + TURN);
        if let Some(next) = next {
            tokio::time::sleep_until(next).await;
        }
        if !door.0.lock().give_turn() {
            return;
        }
    }
}

/// Writes the tries of which organisers are warned; to be called once a second.
pub(super) async fn report(guesses: &Guesses, db: &Db, now_ms: i64) -> Result<(), catalog::Error> {
    guesses.sweep(now_ms);
    let tries = guesses.tries.lock().clone();
    if tries.is_empty() {
        return Ok(());
    }
    event::guesses::note(db, &tries, now_ms).await?;
    guesses.written(&tries);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    fn exhaust(guesses: &Guesses) -> Arc<Door> {
        for _ in 0..FREE_A_MINUTE {
            assert!(matches!(guesses.compare(source(1), "a", 0, || false), Comparison::Wrong));
        }
        match guesses.compare(source(1), "a", 0, || panic!("it was compared")) {
            Comparison::Wait(door) => door,
            _ => panic!("it need not wait"),
        }
    }

    #[test]
    fn only_the_source_and_the_event_of_the_wrong_codes_wait() {
        let guesses = Guesses::default();
        exhaust(&guesses);
        assert!(matches!(guesses.compare(source(2), "a", 0, || true), Comparison::Right));
        assert!(matches!(guesses.compare(source(1), "b", 0, || true), Comparison::Right));
        let next = |minutes| guesses.compare(source(1), "a", minutes * MINUTE_MS, || true);
        assert!(matches!(next(1), Comparison::Wait(_)), "the minute after one of too many");
        assert!(matches!(next(2), Comparison::Right));
    }

    #[test]
    fn tries_wait_until_they_are_written() {
        let guesses = Guesses::default();
        guesses.warn("a", 0);
        let reported = guesses.tries.lock().clone();
        guesses.warn("a", 1);
        guesses.warn("b", 0);
        assert_eq!(guesses.tries.lock()[&("a".to_owned(), 0)], 2, "nothing is lost meanwhile");
        guesses.written(&reported);
        let left = |id: &str| guesses.tries.lock().get(&(id.to_owned(), 0)).copied();
        assert_eq!((left("a"), left("b")), (Some(1), Some(1)));
        let reported = guesses.tries.lock().clone();
        guesses.written(&reported);
        assert_eq!(*guesses.tries.lock(), HashMap::new());
    }

    #[test]
    fn the_networks_of_one_ipv6_site_are_one_source() {
        let guesses = Guesses::default();
        let from = |n: u32| format!("2001:db8:5:{n:x}::1").parse().unwrap();
        for n in 0..FREE_A_MINUTE {
            assert!(matches!(guesses.compare(from(n), "a", 0, || false), Comparison::Wrong));
        }
        let next = guesses.compare(from(FREE_A_MINUTE), "a", 0, || true);
        assert!(matches!(next, Comparison::Wait(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_a_second_has_a_turn_and_those_who_have_joined_come_first() {
        let guesses = Guesses::default();
        let door = exhaust(&guesses);
        let began = Instant::now();
        let control = Handle::current();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut calls = Vec::new();
        for (name, has_joined) in
            [("first", false), ("second", false), ("joined", true), ("third", false)]
        {
            let (door, control, order) = (door.clone(), control.clone(), order.clone());
            calls.push(tokio::spawn(async move {
                assert!(door.turn(&control, has_joined).await);
                order.lock().push((name, began.elapsed().as_secs()));
            }));
        }
        for call in calls {
            call.await.unwrap();
        }
        let expected = [("joined", 0), ("first", 1), ("second", 2), ("third", 3)];
        assert_eq!(*order.lock(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_ten_seconds_and_no_more_wait_than_can_be_served() {
        let guesses = Guesses::default();
        let door = exhaust(&guesses);
        let began = Instant::now();
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let door = door.clone();
                tokio::spawn(async move { door.turn(&Handle::current(), false).await })
            })
            .collect();
        let mut served = 0;
        for call in calls {
            served += u32::from(call.await.unwrap());
        }
        assert_eq!(served, 10);
        assert!(began.elapsed() <= PATIENCE);
        // Calls whose client has left take no turn.
        let control = Handle::current();
        let left = tokio::time::timeout(TURN / 2, door.turn(&control, false)).await;
        assert!(left.is_err(), "it was served at once");
        let began = Instant::now();
        assert!(door.turn(&control, false).await);
        assert!(began.elapsed() <= TURN, "{:?}", began.elapsed());
    }
}
