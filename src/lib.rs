//! AI Proxy: one binary in front of MCP servers.
//!
//! A request walks down [`proxy`]; what it is checked against comes from
//! [`catalog`], whose rows live in [`db`]. [`config`] is read once at start,
//! [`app`] holds what all requests share, and [`server`] owns sockets,
//! threads and the drain. [`probe`] asks a backend from outside of the data
//! plane whether it can be used, [`health`] does so now and then, [`preflight`] from inside of it. [`portal`] is the pages of owners, who sign in by
//! [`identity`]. `ARCHITECTURE.md` tells the walks in prose.
//!
//! Arrows point down only: `server → portal → app → proxy → catalog → db`,
//! `app → identity → catalog` and `portal → backup → catalog`. [`turns`] and [`net`] are below all.

// What is `pub` is there for the program, the tests, the benches and the fuzz targets;
// all else is narrower, so that what nobody uses is reported as dead.
#![warn(unreachable_pub)]

pub mod app;
pub mod backup;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod demo;
pub mod health;
pub mod http1;
mod identity;
pub mod net;
pub mod portal;
mod preflight;
pub mod probe;
pub mod proxy;
pub mod server;
pub mod snippets;
mod spreadsheet;
mod sync;
pub mod telemetry;
mod turns;
