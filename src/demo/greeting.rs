//! What the demo prints: where it is, and what to paste.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::snippets::McpServer;

/// What the person at the terminal needs to know.
pub(super) struct Greeting<'a> {
    /// Where clients reach the built-in MCP server.
    pub url: &'a str,
    pub api_key: &'a SecretString,
    pub event_name: &'a str,
    pub event_id: &'a str,
    /// Where event and key are kept for the next start.
    pub data_dir: &'a Path,
}

impl Greeting<'_> {
    /// The whole text. Commands stand at the left margin, so that they can be
    /// marked and pasted; it holds the key and belongs on the terminal only.
    pub(super) fn text(&self) -> String {
        let url = self.url;
        let server = McpServer { name: "my-mcp-demo", url, api_key: self.api_key };
        let sections = [
            ("Open a session, in bash or zsh:", server.curl_initialize()),
            ("List its tools:", server.curl_list_tools()),
            ("Call one:", server.curl_call_tool("echo", &json!({"message": "Hello!"}))),
            ("The same in Python, after `pip install fastmcp`:", server.python()),
            ("VS Code, in .vscode/mcp.json:", server.vscode()),
        ];
        let mut text = format!(
            "AI Proxy serves the event \"{name}\" ({id}), with an MCP server to try.\n\n\
             URL  {url}\nKey  {key}\n",
            name = self.event_name,
            id = self.event_id,
            key = self.api_key.expose_secret(),
        );
        for (heading, snippet) in sections {
            text += &format!("\n── {heading}\n\n{snippet}\n");
        }
        text + &format!(
            "\n── Ctrl-C stops it. The next start has the same event and key; they are in {}.",
            self.data_dir.display()
        )
    }
}
