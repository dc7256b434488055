//! The resources of an event, ticked and numbered: an order that can be typed, so
//! that it needs no script.
//!
//! What was typed is looked up by id: a form can hold thousands of them.

use std::collections::{HashMap, HashSet};

use crate::catalog::event::MAX_LINKED;
use crate::catalog::resource::Resource;
use crate::catalog::{Rows, Unreadable};

/// What was typed beside each resource of the list.
pub struct Numbered<'a> {
    pub listed: &'a [String],
    pub position: &'a [String],
    pub ticked: &'a [String],
}

/// A row of the list.
pub struct Row {
    pub id: String,
    pub name: String,
    pub deployment: String,
    pub active: bool,
    pub is_linked: bool,
    pub position: String,
}

impl<'a> Numbered<'a> {
    /// The first position of each id in the list.
    fn places(&self) -> HashMap<&'a str, usize> {
        let mut places = HashMap::with_capacity(self.listed.len());
        for (at, id) in self.listed.iter().enumerate() {
            places.entry(id.as_str()).or_insert(at);
        }
        places
    }

    fn position_at(&self, at: Option<usize>) -> &'a str {
        at.and_then(|at| self.position.get(at)).map_or("", String::as_str)
    }

    /// The ticked ones by their numbers; those without one come last, as listed.
    ///
    /// # Errors
    /// What is wrong with a number.
    pub fn in_order(&self) -> Result<Vec<String>, String> {
        if self.ticked.len() > MAX_LINKED {
            return Err(format!("are more than {MAX_LINKED}"));
        }
        let places = self.places();
        let mut numbered = Vec::with_capacity(self.ticked.len());
        for id in self.ticked {
            let at = places.get(id.as_str()).copied();
            let position: u32 = match self.position_at(at).trim() {
                "" => u32::MAX,
                text => text.parse().map_err(|_| {
                    "are put in order by whole numbers, such as 1, 2 and 3".to_owned()
                })?,
            };
            numbered.push((position, at.unwrap_or(usize::MAX), id));
        }
        numbered.sort_by_key(|(position, at, _)| (*position, *at));
        Ok(numbered.into_iter().map(|(_, _, id)| id.clone()).collect())
    }

    /// All of an owner's: those that were listed with what was typed, then the others
    /// by name.
    pub fn rows(&self, all: Rows<Resource>) -> Vec<Row> {
        let places = self.places();
        let ticked: HashSet<&String> = self.ticked.iter().collect();
        let at = |id: &String| places.get(id.as_str()).copied();
        let row = |id: String, name: String, deployment: String, active: bool| Row {
            is_linked: ticked.contains(&id),
            position: self.position_at(at(&id)).to_owned(),
            id,
            name,
            deployment,
            active,
        };
        let read = all.read.into_iter().map(|Resource { id, name, deployment, active, .. }| {
            row(id, name, deployment.to_string(), active)
        });
        // Those that cannot be read as well: a link must not be lost with a save, and
        // is removed before such a resource can be deleted.
        let unreadable = all.unreadable.into_iter().map(|Unreadable { id, name, .. }| {
            row(id, format!("{name} (cannot be read)"), name, false)
        });
        let mut rows: Vec<Row> = read.chain(unreadable).collect();
        rows.sort_by_cached_key(|row| (at(&row.id).unwrap_or(usize::MAX), row.name.to_lowercase()));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(listed: &[&str], position: &[&str], ticked: &[&str]) -> Result<String, String> {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let (listed, position, ticked) = (own(listed), own(position), own(ticked));
        let numbered = Numbered { listed: &listed, position: &position, ticked: &ticked };
        numbered.in_order().map(|ids| ids.join(""))
    }

    #[test]
    fn numbers_make_the_order() {
        let all = ["a", "b", "c"];
        assert_eq!(ordered(&all, &["2", "", " 1 "], &all).unwrap(), "cab");
        assert_eq!(ordered(&all, &["", "", ""], &["c", "b"]).unwrap(), "bc");
        assert_eq!(ordered(&all, &["1", "1", "0"], &all).unwrap(), "cab", "as listed where equal");
        assert_eq!(ordered(&all, &["x", "", ""], &["b"]).unwrap(), "b", "only those ticked count");
        assert_eq!(ordered(&[], &[], &["z"]).unwrap(), "z");
        assert!(ordered(&all, &["x", "", ""], &all).is_err());
        assert!(ordered(&all, &["-1", "", ""], &all).is_err());
    }

    #[test]
    fn only_so_many_can_be_ticked() {
        let many: Vec<String> = (0..=MAX_LINKED).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(ordered(&many, &[], &many[1..]).is_ok());
        assert!(ordered(&many, &[], &many).unwrap_err().contains("more than 1000"));
    }

    #[test]
    fn many_are_found_in_a_long_list_about_as_fast_as_one() {
        let id = |n: usize| format!("{}{n:06}", "0".repeat(30));
        let listed: Vec<String> = (0..100_000).map(id).collect();
        let time = |ticked: &[String]| {
            let numbered = Numbered { listed: &listed, position: &[], ticked };
            let started = std::time::Instant::now();
            assert_eq!(numbered.in_order().unwrap(), ticked);
            started.elapsed()
        };
        let one = time(&listed[99_999..]);
        let many = time(&listed[99_000..]);
        // One query for each would take a thousand times as long.
        assert!(many < one * 100, "{many:?}, of one {one:?}");
    }
}
