//! The suite `portal` on PostgreSQL.

#[path = "main.rs"]
mod portal;

use portal::{
    backup, claim, confirm, gateway, harness, mcp, microsoft, octocat, postgres, workshop,
};
