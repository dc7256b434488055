//! Two saves of one form: what somebody typed, over what others have changed since the form was
//! shown.
//!
//! A form carries a [`base`]: a digest of each field as it was shown, so no value is in it a
//! second time. [`over`] takes the stored value where a field was not changed by the typist,
//! and finds the fields that both sides changed. Fields that only make sense together are one
//! group, and are kept or taken together.

use std::mem::take;

use super::form::Problems;
use crate::catalog;
use crate::catalog::digest::Digest;

/// A form of fields that others may change meanwhile.
pub trait Merged: Sized + 'static {
    const GROUPS: &'static [&'static [Field<Self>]];

    /// What the form was shown with: its [`base`], sent back by its hidden field.
    fn base(&mut self) -> &mut String;

    /// Fields that are to stay as stored, of those that both sides changed.
    fn keep(&mut self) -> &mut Vec<String>;
}

/// A field of a form of the type `T`, as text that can be compared and shown.
pub struct Field<T> {
    pub name: &'static str,
    pub label: &'static str,
    pub value: fn(&T) -> String,
    /// Copies the field from the second form to the first.
    pub take: fn(&mut T, &T),
}

/// A field of text. Spaces around it are none of its value.
macro_rules! text_field {
    ($field:ident, $label:literal) => {
        $crate::portal::merge::Field {
            name: stringify!($field),
            label: $label,
            value: |form| form.$field.trim().to_owned(),
            take: |form, from| form.$field.clone_from(&from.$field),
        }
    };
}

/// A check box.
macro_rules! check_field {
    ($field:ident, $label:literal) => {
        $crate::portal::merge::Field {
            name: stringify!($field),
            label: $label,
            value: |form| if form.$field.is_some() { "on" } else { "off" }.to_owned(),
            take: |form, from| form.$field.clone_from(&from.$field),
        }
    };
}

pub(in crate::portal) use {check_field, text_field};

/// A field that both sides changed, to different values.
#[derive(Debug)]
pub struct Conflict {
    pub field: &'static str,
    pub label: &'static str,
    pub typed: String,
    pub stored: String,
}

/// Why a form was not saved.
pub enum Refused<T> {
    Problems(Problems),
    /// Fields were changed on both sides: the form with what is stored in its other fields.
    Both(Box<T>, Vec<Conflict>),
    Catalog(catalog::Error),
}

impl<T> From<catalog::Error> for Refused<T> {
    fn from(error: catalog::Error) -> Self {
        Refused::Catalog(error)
    }
}

/// What is said beside the fields that both sides changed.
pub fn problems(conflicts: &[Conflict]) -> Problems {
    let mut problems = Problems::none();
    for one in conflicts {
        problems.add(one.field, "was changed elsewhere since you opened this page");
    }
    problems
}

/// What `typed` saves over `stored`, the same form as it would be shown now. A form without a base
/// saves all that it holds.
///
/// # Errors
/// [`Refused::Both`]
pub fn over<T: Merged>(mut typed: T, mut stored: T) -> Result<T, Refused<T>> {
    let (base, keep) = (take(typed.base()), take(typed.keep()));
    let conflicts = merge(T::GROUPS, &base, &keep, &mut typed, &stored);
    *typed.base() = take(stored.base());
    match conflicts.is_empty() {
        true => Ok(typed),
        false => Err(Refused::Both(Box::new(typed), conflicts)),
    }
}

/// Hexadecimal digits of a digest in a form: enough to tell two versions of a field apart.
const DIGITS: usize = 16;

/// What the form was shown with, for its hidden field.
pub fn base<T>(groups: &[&[Field<T>]], shown: &T) -> String {
    let digests: Vec<String> = groups.iter().map(|group| digest(group, shown)).collect();
    digests.join(" ")
}

fn digest<T>(group: &[Field<T>], form: &T) -> String {
    let values: Vec<String> = group.iter().map(|field| (field.value)(form)).collect();
    let mut digits = Digest::sha256(values.join("\0").as_bytes()).hex();
    digits.truncate(DIGITS);
    digits
}

/// Leaves in `typed` what is to be saved, and returns the fields that cannot be decided. Fields
/// named in `given_up` become the stored ones. A form without a base comes from a program, which
/// means what it sends.
fn merge<T>(
    groups: &[&[Field<T>]],
    base: &str,
    given_up: &[String],
    typed: &mut T,
    stored: &T,
) -> Vec<Conflict> {
    let mut bases = base.split(' ');
    let mut conflicts = Vec::new();
    for group in groups {
        let shown = bases.next().unwrap_or_default();
        for field in group.iter().filter(|field| given_up.iter().any(|name| name == field.name)) {
            (field.take)(typed, stored);
        }
        let (now, wanted) = (digest(group, stored), digest(group, typed));
        if wanted == shown {
            for field in *group {
                (field.take)(typed, stored);
            }
        } else if now != shown && now != wanted && !base.is_empty() {
            conflicts.extend(group.iter().filter_map(|field| {
                let (typed, stored) = ((field.value)(typed), (field.value)(stored));
                let differs = typed != stored;
                differs.then_some(Conflict { field: field.name, label: field.label, typed, stored })
            }));
        }
    }
    conflicts
}

#[cfg(test)]
mod tests {
    use super::*;

    type Form = [&'static str; 3];

    macro_rules! field {
        ($at:literal, $name:literal) => {
            Field::<Form> {
                name: $name,
                label: $name,
                value: |form| form[$at].to_owned(),
                take: |form, from| form[$at] = from[$at],
            }
        };
    }

    fn merged(shown: Form, typed: Form, stored: Form, given_up: &[String]) -> (Form, String) {
        let groups: [&[Field<Form>]; 2] =
            [&[field!(0, "one")], &[field!(1, "start"), field!(2, "end")]];
        let mut saved = typed;
        let base = base(&groups, &shown);
        let conflicts = merge(&groups, &base, given_up, &mut saved, &stored);
        (saved, conflicts.iter().map(|one| one.field).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn each_side_keeps_what_it_alone_changed() {
        let shown = ["a", "1", "2"];
        let all = |form: Form| (form, String::new());
        assert_eq!(merged(shown, shown, ["b", "1", "3"], &[]), all(["b", "1", "3"]));
        assert_eq!(merged(shown, ["x", "1", "2"], ["a", "1", "3"], &[]), all(["x", "1", "3"]));
        assert_eq!(merged(shown, ["b", "1", "2"], ["b", "1", "2"], &[]), all(["b", "1", "2"]));
    }

    #[test]
    fn what_both_changed_differently_is_found_by_group() {
        let shown = ["a", "1", "2"];
        assert_eq!(merged(shown, ["x", "1", "2"], ["b", "1", "2"], &[]).1, "one");
        assert_eq!(merged(shown, ["a", "0", "2"], ["a", "1", "3"], &[]).1, "start end");
        let given_up = ["start".to_owned(), "end".to_owned()];
        let (saved, conflicts) = merged(shown, ["x", "0", "2"], ["a", "1", "3"], &given_up);
        assert_eq!((saved, conflicts), (["x", "1", "3"], String::new()));
    }

    #[test]
    fn a_form_without_a_base_means_what_it_sends() {
        let groups: [&[Field<Form>]; 1] = [&[field!(0, "one")]];
        let mut typed = ["x", "", ""];
        assert!(merge(&groups, "", &[], &mut typed, &["b", "", ""]).is_empty());
        assert_eq!(typed[0], "x");
        assert_eq!(merge(&groups, "odd", &[], &mut typed, &["b", "", ""]).len(), 1);
    }
}
