//! That the documentation is true: what it lists is what there is, and what it
//! shows to paste works.

mod joining;
mod pages;
mod refusals;
mod settings;
mod snippets;
mod suites;
