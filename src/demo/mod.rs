//! `ai-proxy demo`: a workshop that works on a machine with nothing but this
//! binary. A built-in MCP server, an event and an attendee, so that the first
//! thing a newcomer sees is a request that went the whole way.

pub mod backend;
