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

use crate::catalog::resource::ResourceType;

const PATH: &str = "/admin/resources";

/// As people call it.
fn type_name(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::McpServer => "MCP Server",
        ResourceType::FoundryModel => "Foundry Model",
        ResourceType::FoundryToolkit => "Foundry Toolkit",
        ResourceType::FoundryAgent => "Foundry Agent",
        ResourceType::AzureAiSearch => "Azure AI Search",
    }
}
