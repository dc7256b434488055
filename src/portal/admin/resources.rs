//! Resources: the list, the form, the connection test, deleting.
//!
//! A backend key goes from the form to the catalog and never back: pages say that
//! one is stored, and how it ends where that gives nothing away.

mod form;
mod health;
mod list;
mod remove;
mod save;
mod switch;
mod test;
mod test_result;

pub use list::show;
pub use remove::{ask_delete, delete};
pub use save::{blank, create, duplicate, edit, update};
pub use switch::set_active;
pub use test::test;

const PATH: &str = "/admin/resources";
