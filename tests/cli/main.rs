//! The command line as people and scripts use it, and the probe behind `resource check`.

mod apply;
mod attendee;
mod command;
mod elsewhere;
mod fake;
mod operate;
mod probe;
mod serve;
