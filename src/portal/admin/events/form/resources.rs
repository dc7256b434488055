//! The resources of an event, ticked and numbered: an order that can be typed, so
//! that it needs no script.

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

impl Numbered<'_> {
    /// The ticked ones by their numbers; those without one come last, as listed.
    ///
    /// # Errors
    /// What is wrong with a number.
    pub fn in_order(&self) -> Result<Vec<String>, String> {
        let mut numbered = Vec::new();
        for id in self.ticked {
            let at = self.listed.iter().position(|listed| listed == id);
            let text = at.and_then(|at| self.position.get(at)).map_or("", |text| text.trim());
            let position: u32 = match text {
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
        let at = |id: &String| self.listed.iter().position(|listed| listed == id);
        let row = |id: String, name: String, deployment: String, active: bool| Row {
            is_linked: self.ticked.contains(&id),
            position: at(&id).and_then(|at| self.position.get(at)).cloned().unwrap_or_default(),
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
}
