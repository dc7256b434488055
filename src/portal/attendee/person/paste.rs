//! What a person pastes where, filled in with their key: for each server of the event, and as files.

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};

use crate::catalog::event::Event;
use crate::net::base_url::BaseUrl;
use crate::snippets::{McpServer, shell};

/// A server of the event, and what to paste for it.
pub struct Server {
    pub name: String,
    pub url: String,
    /// Links that set an editor up with one click.
    pub one_click: [(&'static str, String); 2],
    pub snippets: Vec<Snippet>,
}

pub struct Snippet {
    pub title: &'static str,
    pub text: String,
}

/// The servers that are switched on, in the organiser's order: deployment name and URL.
fn usable<'e>(event: &'e Event, base: &'e BaseUrl) -> impl Iterator<Item = (&'e str, String)> {
    let used = event.resources.iter().filter(|resource| resource.active);
    used.filter_map(|resource| {
        let path = resource.kind.client_path(&resource.deployment)?;
        Some((&*resource.deployment, base.join(&path)))
    })
}

/// What to paste for each of them.
pub fn servers(event: &Event, base: &BaseUrl, key: &SecretString) -> Vec<Server> {
    let of_server = |(name, url): (&str, String)| {
        let server = McpServer { name, url: &url, api_key: key };
        let snippets = [
            ("VS Code: .vscode/mcp.json", server.vscode()),
            ("Claude Code: in a shell", server.claude_code()),
            ("Claude Desktop: claude_desktop_config.json", server.claude_desktop()),
            (
                "Claude Desktop, for versions that only start programs",
                server.claude_desktop_bridge(),
            ),
            ("Python, with FastMCP", server.python()),
            ("Python, with the MCP SDK", server.python_sdk()),
            ("TypeScript, with the MCP SDK", server.typescript()),
            ("curl: open a session", server.curl_initialize()),
            ("curl: then list the tools", server.curl_list_tools()),
        ];
        let snippets = snippets.into_iter().map(|(title, text)| Snippet { title, text }).collect();
        let one_click =
            [("Add to VS Code", server.vscode_link()), ("Add to Cursor", server.cursor_link())];
        Server { name: name.to_owned(), url, one_click, snippets }
    };
    usable(event, base).map(of_server).collect()
}

/// `.vscode/mcp.json` with every server of the event.
pub fn mcp_json(event: &Event, base: &BaseUrl, key: &SecretString) -> String {
    let entry = |(name, url): (&str, String)| {
        (name.to_owned(), McpServer { name, url: &url, api_key: key }.vscode_entry())
    };
    let servers: serde_json::Map<_, _> = usable(event, base).map(entry).collect();
    format!("{:#}\n", serde_json::json!({ "servers": servers }))
}

/// `event-<id>.env`: the key and the address of each server.
pub fn env_file(event: &Event, base: &BaseUrl, key: &SecretString) -> String {
    let mut text = format!("EVENT_API_KEY={}\n", shell(key.expose_secret()));
    for (deployment, url) in usable(event, base) {
        let name = variable(deployment);
        let _ = writeln!(text, "{name}={}\n{name}_MCP_URL={}", shell(deployment), shell(&url));
    }
    text
}

/// A deployment name as the name of a variable.
fn variable(deployment: &str) -> String {
    let upper = deployment.chars().map(|character| match character.is_ascii_alphanumeric() {
        true => character.to_ascii_uppercase(),
        false => '_',
    });
    let name: String = upper.collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployment_names_become_variables() {
        for (deployment, expected) in
            [("mcp-demo", "MCP_DEMO"), ("gpt-4.1", "GPT_4_1"), ("4o", "_4O"), ("a_b", "A_B")]
        {
            assert_eq!(variable(deployment), expected);
        }
    }
}
