//! The suite `portal` on PostgreSQL.

#[path = "main.rs"]
mod portal;

use portal::{harness, mcp, microsoft, postgres, workshop};
