//! The suite `portal` on PostgreSQL.

#[path = "main.rs"]
mod portal;

use portal::{confirm, harness, mcp, microsoft, postgres, workshop};
