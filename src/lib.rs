//! AI Proxy: one binary in front of MCP servers.
//!
//! A request passes through [`proxy`]; what it is checked against comes from
//! [`catalog`], whose rows are in [`db`]. [`config`] is read once at start, [`app`]
//! holds what all requests share, and [`server`] owns sockets, threads and the drain.
//! [`http1`] reads HTTP/1.1 for both legs, and [`net`] is the way out. [`probe`] asks
//! from outside the data plane whether a backend can be used; [`health`] does so now and
//! then. `preflight` asks through the data plane. [`portal`] has the pages of owners, who
//! sign in by `identity`; MCP clients sign in by [`oauth`]. `ARCHITECTURE.md` describes how they work together.
//!
//! Imports point down only: `server → portal → app → proxy → catalog → db`,
//! `app → identity → catalog` and `portal → backup → catalog`. `turns`, [`net`] and
//! [`http1`] are below them all.

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
pub mod oauth;
pub mod portal;
mod preflight;
pub mod probe;
pub mod proxy;
pub mod server;
pub mod snippets;
mod spreadsheet;
mod sync;
pub mod telemetry;
mod through_proxy;
mod turns;
