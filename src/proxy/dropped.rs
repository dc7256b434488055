//! Counts request headers that were removed because of an underscore in their name, by
//! resource, so that its owner can see why a server did not get one.
//!
//! Kept in memory, of this replica and since its start. Clients choose the names, so
//! their number is bounded, and values are never kept.

use std::collections::{BTreeMap, HashMap};

use http::HeaderName;
use parking_lot::Mutex;

/// Maximum number of resources with counts.
const MAX_RESOURCES: usize = 4096;

/// Maximum number of names that are counted separately for one resource.
const MAX_NAMES: usize = 20;

/// The length at which a name is cut, in bytes.
const MAX_LENGTH: usize = 64;

/// The name under which names beyond the bound are counted.
const OTHER: &str = "(other)";

type Counts = BTreeMap<Box<str>, u64>;

#[derive(Default)]
pub struct DroppedHeaders {
    resources: Mutex<HashMap<Box<str>, Counts, foldhash::fast::RandomState>>,
}

impl DroppedHeaders {
    /// Counts the `names` that were dropped from one request for the resource.
    pub fn count(&self, resource_id: &str, names: &[HeaderName]) {
        if names.is_empty() {
            return;
        }
        let mut resources = self.resources.lock();
        if !resources.contains_key(resource_id) {
            if resources.len() >= MAX_RESOURCES {
                return;
            }
            resources.insert(resource_id.into(), Counts::new());
        }
        let Some(counts) = resources.get_mut(resource_id) else { return };
        for name in names {
            let name = name.as_str();
            let name = name.get(..MAX_LENGTH).unwrap_or(name);
            let is_full = counts.len() >= MAX_NAMES && !counts.contains_key(name);
            *counts.entry(if is_full { OTHER } else { name }.into()).or_default() += 1;
        }
    }

    /// The names, and how many requests had each.
    pub fn of(&self, resource_id: &str) -> Vec<(String, u64)> {
        let resources = self.resources.lock();
        let counts = resources.get(resource_id).into_iter().flatten();
        counts.map(|(name, count)| (name.to_string(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HeaderName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_counted_by_resource() {
        let dropped = DroppedHeaders::default();
        dropped.count("a", &[name("X_A"), name("x_b")]);
        dropped.count("a", &[name("x_a")]);
        dropped.count("b", &[]);
        assert_eq!(dropped.of("a"), [("x_a".to_owned(), 2), ("x_b".to_owned(), 1)]);
        assert_eq!(dropped.of("b"), []);
    }

    #[test]
    fn whatever_names_clients_invent_what_is_kept_is_bounded() {
        let dropped = DroppedHeaders::default();
        for n in 0..1000 {
            dropped.count("a", &[name(&format!("x_{n}_{}", "y".repeat(500)))]);
        }
        let counts = dropped.of("a");
        assert_eq!(counts.len(), MAX_NAMES + 1);
        assert!(counts.contains(&(OTHER.to_owned(), 1000 - MAX_NAMES as u64)));
        assert!(counts.iter().all(|(name, _)| name.len() <= MAX_LENGTH));
        for n in 0..2 * MAX_RESOURCES {
            dropped.count(&n.to_string(), &[name("x_a")]);
        }
        assert_eq!(dropped.resources.lock().len(), MAX_RESOURCES);
        assert_eq!(dropped.of("a").len(), MAX_NAMES + 1);
    }
}
