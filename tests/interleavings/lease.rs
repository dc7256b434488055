//! A lease grants what was leased: nothing more, nothing less, and of its own day.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ai_proxy::proxy::attendee::lease::{DayCount, Lease, Need, Refill};
use futures_util::FutureExt;
use loom::thread;

const DAY: u32 = 7;

fn leased(count: u32) -> Arc<Lease> {
    let lease = Arc::new(Lease::default());
    assert_eq!(lease.add(DayCount { day: DAY, count }), None);
    lease
}

fn spawn<T: 'static>(
    lease: &Arc<Lease>,
    work: impl FnOnce(&Lease) -> T + 'static,
) -> thread::JoinHandle<T> {
    let lease = lease.clone();
    thread::spawn(move || work(&lease))
}

fn count(some: Option<DayCount>) -> u32 {
    some.map_or(0, |some| some.count)
}

#[test]
fn parallel_calls_take_no_more_than_was_leased_and_no_less() {
    loom::model(|| {
        let lease = leased(3);
        let take = |lease: &Lease| if lease.take(DAY, 2, 0).is_some() { 2 } else { 0 };
        let (one, other) = (spawn(&lease, take), spawn(&lease, take));
        let here = if lease.take(DAY, 1, 0).is_some() { 1 } else { 0 };
        let taken = one.join().unwrap() + other.join().unwrap() + here;
        assert_eq!(taken + lease.left(DAY), 3);
        assert_eq!(taken, 3, "two fit for certain, and the one fits beside them");
    });
}

#[test]
fn what_is_surrendered_is_not_also_taken() {
    loom::model(|| {
        let lease = leased(2);
        let taking = spawn(&lease, |lease| {
            let takes = [lease.take(DAY, 1, 0), lease.take(DAY, 1, 0)];
            takes.iter().flatten().count()
        });
        let adding = spawn(&lease, |lease| count(lease.add(DayCount { day: DAY, count: 1 })));
        let surrendered = count(lease.surrender());
        let taken = taking.join().unwrap() as u32;
        let sent_back = adding.join().unwrap();
        assert_eq!(taken + surrendered + sent_back + lease.left(DAY), 3);
    });
}

#[test]
fn a_new_day_pays_for_no_call_of_the_old_one_and_loses_nothing_of_it() {
    loom::model(|| {
        let lease = leased(2);
        let yesterday = DayCount { day: DAY, count: 1 };
        // Takes and gives back, as a call that the backend never got.
        let returning = spawn(&lease, move |lease| {
            let taken = lease.take(DAY, 1, 0).map_or(0, |_| 1);
            let back = if taken > 0 { count(lease.add(yesterday)) } else { 0 };
            (taken, back)
        });
        let taking = spawn(&lease, |lease| u32::from(lease.take(DAY, 1, 0).is_some()));
        let sent_back = lease.add(DayCount { day: DAY + 1, count: 3 });
        assert!(sent_back.is_none_or(|back| back.day == DAY));
        let (returned, back) = returning.join().unwrap();
        let taken = taking.join().unwrap();
        assert_eq!(lease.left(DAY + 1), 3);
        assert!(returned >= back);
        // What was returned while the day lasted went back with the rest of it.
        assert_eq!(taken + count(sent_back) + back, 2);
    });
}

#[test]
fn one_refill_at_a_time_asks_the_store_and_all_that_it_grants_is_there() {
    loom::model(|| {
        let lease = Arc::new(Lease::default());
        let (is_asking, granted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let call = {
            let (is_asking, granted) = (is_asking.clone(), granted.clone());
            move |lease: &Lease| {
                let mut asked = None;
                let need = Need { day: DAY, cap: 100, at_least: 1 };
                let answer = lease.refill(need, 0, |n| {
                    assert!(!is_asking.swap(true, Ordering::SeqCst), "another is under way");
                    asked = Some(n);
                    std::future::ready(Refill::Granted).boxed()
                });
                assert!(answer.is_some(), "nothing rules it out");
                if let Some(n) = asked {
                    assert_eq!(lease.add(DayCount { day: DAY, count: n }), None);
                    granted.fetch_add(n, Ordering::SeqCst);
                    is_asking.store(false, Ordering::SeqCst);
                    lease.granted(n);
                }
                lease.take(DAY, 1, 0).map_or(0, |_| 1)
            }
        };
        let other = spawn(&lease, call.clone());
        let taken = call(&lease) + other.join().unwrap();
        assert_eq!(taken + lease.left(DAY), granted.load(Ordering::SeqCst));
    });
}
