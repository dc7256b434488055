//! Signing in without a key, as an MCP client sees it over HTTP: what it is told, how it registers, and
//! what its codes and tokens give.

mod accounts;
mod authorize;
mod harness;
mod metadata;
mod register;
mod token;
