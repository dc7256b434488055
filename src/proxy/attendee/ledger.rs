//! What is not yet in the store about one attendee: the figures of their calls, requests
//! that were spent and given back, and their last refusals.
//!
//! Calls add to it in memory, and the upkeep takes it once a second. Nothing here waits or
//! touches the store.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::lease::DayCount;
use crate::catalog::resource::Resource;
use crate::catalog::usage::Figures;

/// Most distinct operations and names that are kept apart for an attendee and
/// day; the rest are counted under [`OTHER`].
const DISTINCT_NAMES: usize = 200;

/// The longest name kept, in characters.
const NAME_LENGTH: usize = 128;

/// Refusals that an attendee is shown.
pub(crate) const REFUSALS: usize = 10;

const OTHER: &str = "(other)";

/// What was called: a method of the protocol, and the tool or prompt it named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Operation {
    pub method: String,
    pub name: String,
}

/// The operations of one request, each with the number of messages that ask for it.
pub(crate) type Operations = SmallVec<[(Operation, u32); 1]>;

/// Where a figure belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    pub resource_id: String,
    pub operation: Arc<str>,
    pub name: Arc<str>,
    /// UTC milliseconds of the minute's start.
    pub minute: i64,
}

/// What is yet to be written of one attendee.
#[derive(Default)]
pub struct Ledger {
    page: LedgerPage,
    names: Names,
    refusals: VecDeque<(&'static str, i64)>,
}

/// What one write to the store takes.
#[derive(Default)]
pub struct LedgerPage {
    /// A few lines, found by looking through them.
    pub usage: Vec<(LedgerLine, Figures)>,
    /// Requests spent, by day; less than none where some came back.
    pub spent: SmallVec<[(u32, i64); 1]>,
    /// Permits that nobody used and that the lease does not keep.
    pub returned: SmallVec<[DayCount; 1]>,
    /// The last refusal and its instant.
    pub refusal: Option<(&'static str, i64)>,
}

impl LedgerPage {
    pub fn is_empty(&self) -> bool {
        self.usage.is_empty()
            && self.spent.is_empty()
            && self.returned.is_empty()
            && self.refusal.is_none()
    }
}

#[derive(Default)]
struct Names {
    day: u32,
    /// The names by method.
    seen: HashMap<Arc<str>, HashSet<Arc<str>, RandomState>, RandomState>,
    /// Pairs of method and name.
    count: usize,
}

impl Ledger {
    pub fn is_empty(&self) -> bool {
        self.page.is_empty()
    }

    /// Takes what is to be written.
    pub fn turn_page(&mut self) -> LedgerPage {
        std::mem::take(&mut self.page)
    }

    pub fn spend(&mut self, day: u32, n: i64) {
        match self.page.spent.iter_mut().find(|spent| spent.0 == day) {
            Some(spent) => spent.1 += n,
            None => self.page.spent.push((day, n)),
        }
    }

    pub fn give_back(&mut self, permits: DayCount) {
        self.page.returned.push(permits);
    }

    pub fn refuse(&mut self, code: &'static str, now_ms: i64) {
        self.page.refusal = Some((code, now_ms));
        self.refusals.truncate(REFUSALS - 1);
        self.refusals.push_front((code, now_ms));
    }

    /// The last refusals and their instants, the newest first.
    pub fn refusals(&self) -> Vec<(&'static str, i64)> {
        self.refusals.iter().copied().collect()
    }

    /// Spent requests of `day` that the store does not know of yet.
    pub fn unwritten(&self, day: u32) -> i64 {
        self.page.spent.iter().filter(|spent| spent.0 == day).map(|spent| spent.1).sum()
    }

    /// The figures that a call of `operation` is added to, of the minute of `now_ms` and
    /// under a name of `day`.
    pub fn figures(
        &mut self,
        resource: &Resource,
        operation: &Operation,
        day: u32,
        now_ms: i64,
    ) -> &mut Figures {
        let (operation, name) = self.names.intern(operation, day);
        let minute = now_ms - now_ms.rem_euclid(60_000);
        let usage = &mut self.page.usage;
        let known = usage.iter().rposition(|(line, _)| {
            line.minute == minute
                && line.operation == operation
                && line.name == name
                && line.resource_id == resource.id
        });
        let at = known.unwrap_or_else(|| {
            let line = LedgerLine { resource_id: resource.id.clone(), operation, name, minute };
            usage.push((line, Figures::default()));
            usage.len() - 1
        });
        &mut usage[at].1
    }
}

impl Names {
    /// The name as it is kept; a known one costs no allocation.
    fn intern(&mut self, operation: &Operation, day: u32) -> (Arc<str>, Arc<str>) {
        if self.day != day {
            *self = Self { day, ..Self::default() };
        }
        let (method, name) = (cut(&operation.method), cut(&operation.name));
        if let Some((method, names)) = self.seen.get_key_value(method)
            && let Some(name) = names.get(name)
        {
            return (method.clone(), name.clone());
        }
        if self.count >= DISTINCT_NAMES {
            return (OTHER.into(), OTHER.into());
        }
        self.count += 1;
        let (method, name): (Arc<str>, Arc<str>) = (method.into(), name.into());
        self.seen.entry(method.clone()).or_default().insert(name.clone());
        (method, name)
    }
}

fn cut(name: &str) -> &str {
    if name.len() <= NAME_LENGTH {
        return name;
    }
    match name.char_indices().nth(NAME_LENGTH) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Operation {
        Operation { method: "tools/call".into(), name: name.into() }
    }

    #[test]
    fn long_names_are_cut_at_128_characters_not_bytes() {
        assert_eq!(cut(&"é".repeat(200)).chars().count(), 128);
        assert_eq!(cut("echo"), "echo");
    }

    #[test]
    fn names_past_the_limit_share_one_line_until_the_next_day() {
        let mut names = Names::default();
        for n in 0..DISTINCT_NAMES {
            assert_eq!(&*names.intern(&named(&n.to_string()), 1).1, n.to_string());
        }
        assert_eq!(&*names.intern(&named("one more"), 1).1, OTHER);
        assert_eq!(&*names.intern(&named("7"), 1).1, "7", "known ones keep their line");
        assert_eq!(&*names.intern(&named("one more"), 2).1, "one more");
    }
}
