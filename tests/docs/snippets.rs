//! What the documentation shows to paste is what the product prints.

use ai_proxy::snippets::McpServer;

use crate::pages::{blocks, read};

#[test]
fn configurations_are_the_ones_that_the_product_prints() {
    let text = read("docs/mcp-servers.md");
    let server = McpServer {
        name: "my-mcp-demo",
        url: "http://127.0.0.1:8910/api/v1/mcp/mcp-demo/mcp",
        api_key: &"<attendee key>".into(),
    };
    let printed = [server.vscode(), server.claude_desktop(), server.claude_desktop_bridge()];
    assert_eq!(blocks(&text, "json"), printed);
}
