//! What to paste where: an attendee's connection to one MCP server, written
//! for each client.
//!
//! Every value is quoted for the language it lands in, so that no name, URL or
//! key can become syntax. The texts hold the attendee's key: they are for that
//! attendee's eyes and never go into a log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// An MCP server as one attendee reaches it through the proxy.
pub struct McpServer<'a> {
    /// What the client's configuration calls the server.
    pub name: &'a str,
    /// The proxy's URL of the server, `…/api/v1/mcp/{deployment}/mcp`.
    pub url: &'a str,
    /// The attendee's API key.
    pub api_key: &'a SecretString,
}

impl McpServer<'_> {
    /// What VS Code's `mcp.json` has of a server, under its name.
    pub fn vscode_entry(&self) -> Value {
        serde_json::json!({
            "type": "http",
            "url": self.url,
            "headers": { "api-key": self.key() },
        })
    }

    /// VS Code: opens the editor, which asks whether to add the server. The link goes to a program on
    /// the same machine, and to nobody else.
    pub fn vscode_link(&self) -> String {
        let mut server = self.vscode_entry();
        server["name"] = self.name.into();
        format!("vscode:mcp/install?{}", utf8_percent_encode(&server.to_string(), NON_ALPHANUMERIC))
    }

    /// Cursor: the same.
    pub fn cursor_link(&self) -> String {
        let server = serde_json::json!({ "url": self.url, "headers": { "api-key": self.key() } });
        let config = STANDARD.encode(server.to_string());
        format!(
            "cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}",
            utf8_percent_encode(self.name, NON_ALPHANUMERIC),
            utf8_percent_encode(&config, NON_ALPHANUMERIC),
        )
    }

    /// VS Code: `.vscode/mcp.json`.
    pub fn vscode(&self) -> String {
        format!(
            r#"{{
  "servers": {{
    {name}: {{
      "type": "http",
      "url": {url},
      "headers": {{
        "api-key": {key}
      }}
    }}
  }}
}}"#,
            name = json(self.name),
            url = json(self.url),
            key = json(self.key()),
        )
    }

    /// Claude Desktop, for versions that connect over HTTP themselves:
    /// `claude_desktop_config.json`.
    pub fn claude_desktop(&self) -> String {
        format!(
            r#"{{
  "mcpServers": {{
    {name}: {{
      "type": "streamableHttp",
      "url": {url},
      "headers": {{
        "api-key": {key}
      }}
    }}
  }}
}}"#,
            name = json(self.name),
            url = json(self.url),
            key = json(self.key()),
        )
    }

    /// Claude Desktop, for versions that only start local programs: the same
    /// file, through the `mcp-remote` bridge, which needs Node.js.
    pub fn claude_desktop_bridge(&self) -> String {
        // The header holds no space: on Windows, arguments with one fall apart.
        format!(
            r#"{{
  "mcpServers": {{
    {name}: {{
      "command": "npx",
      "args": [
        "-y",
        "mcp-remote",
        {url},
        "--transport",
        "http-only",{allow_http}
        "--header",
        "api-key:${{AI_PROXY_API_KEY}}"
      ],
      "env": {{
        "AI_PROXY_API_KEY": {key}
      }}
    }}
  }}
}}"#,
            name = json(self.name),
            url = json(self.url),
            // mcp-remote takes plain HTTP only when told to; a workshop's LAN has nothing else.
            allow_http =
                if self.url.starts_with("http:") { "\n        \"--allow-http\"," } else { "" },
            key = json(self.key()),
        )
    }

    /// Claude Code: a command for the shell.
    pub fn claude_code(&self) -> String {
        // Claude Code refuses a name with any other character.
        let name: String = (self.name.chars())
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
            .collect();
        format!(
            "claude mcp add --transport http {} {} \\\n  --header {}",
            shell(&name),
            shell(self.url),
            shell(&self.key_header()),
        )
    }

    /// Python, with FastMCP.
    pub fn python(&self) -> String {
        format!(
            r#"import asyncio
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

async def main():
    transport = StreamableHttpTransport(
        url={url},
        headers={{"api-key": {key}}},
    )
    async with Client(transport) as client:
        tools = await client.list_tools()
        print([tool.name for tool in tools])
        for tool in tools:
            if not tool.inputSchema.get("required"):
                print(tool.name, await client.call_tool(tool.name, {{}}))
                break

asyncio.run(main())"#,
            // A JSON string is a Python string.
            url = json(self.url),
            key = json(self.key()),
        )
    }

    /// Python, with the MCP SDK (1.x).
    pub fn python_sdk(&self) -> String {
        format!(
            r#"import asyncio
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

async def main():
    url = {url}
    headers = {{"api-key": {key}}}
    async with streamablehttp_client(url, headers=headers) as (read, write, _):
        async with ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            print([tool.name for tool in tools])
            for tool in tools:
                if not tool.inputSchema.get("required"):
                    print(tool.name, await session.call_tool(tool.name, {{}}))
                    break

asyncio.run(main())"#,
            url = json(self.url),
            key = json(self.key()),
        )
    }

    /// TypeScript or JavaScript, with the MCP SDK (1.x).
    pub fn typescript(&self) -> String {
        format!(
            r#"import {{ Client }} from "@modelcontextprotocol/sdk/client/index.js";
import {{ StreamableHTTPClientTransport }} from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const transport = new StreamableHTTPClientTransport(new URL({url}), {{
  requestInit: {{ headers: {{ "api-key": {key} }} }},
}});
const client = new Client({{ name: "workshop", version: "1.0.0" }});
await client.connect(transport);
const {{ tools }} = await client.listTools();
console.log(tools.map((tool) => tool.name));
const tool = tools.find((tool) => !tool.inputSchema.required?.length);
if (tool) console.log(tool.name, await client.callTool({{ name: tool.name, arguments: {{}} }}));
await client.close();"#,
            url = json(self.url),
            key = json(self.key()),
        )
    }

    /// curl, first: opens a session, shows the answer, and keeps the session's
    /// id in `MCP_SESSION_ID`. For bash and zsh; no line is a comment, which an
    /// interactive zsh would try to run.
    pub fn curl_initialize(&self) -> String {
        let message = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"test","version":"1.0"}}}"#;
        format!(
            r#"MCP_ANSWER=$(curl -sS -i -X POST {url} \
  -H {key} \
  -H 'Content-Type: application/json' \
  -H 'Accept: application/json, text/event-stream' \
  -d {message})
printf '%s\n' "$MCP_ANSWER"
MCP_SESSION_ID=$(printf '%s\n' "$MCP_ANSWER" | tr -d '\r' | awk 'tolower($1) == "mcp-session-id:" {{ print $2 }}')"#,
            url = shell(self.url),
            key = shell(&self.key_header()),
            message = shell(message),
        )
    }

    /// curl, then: the tools of the session that [`Self::curl_initialize`] opened.
    pub fn curl_list_tools(&self) -> String {
        self.curl_in_session(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#)
    }

    /// curl, then: one call of `tool` in that session.
    pub fn curl_call_tool(&self, tool: &str, arguments: &serde_json::Value) -> String {
        self.curl_in_session(&format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":{tool},"arguments":{arguments}}}}}"#,
            tool = json(tool),
        ))
    }

    fn curl_in_session(&self, message: &str) -> String {
        format!(
            r#"curl -sS -X POST {url} \
  -H {key} \
  -H 'Content-Type: application/json' \
  -H 'Accept: application/json, text/event-stream' \
  -H "Mcp-Session-Id: $MCP_SESSION_ID" \
  -d {message}"#,
            url = shell(self.url),
            key = shell(&self.key_header()),
            message = shell(message),
        )
    }

    fn key_header(&self) -> String {
        format!("api-key: {}", self.key())
    }

    fn key(&self) -> &str {
        self.api_key.expose_secret()
    }
}

/// `text` as one word of a POSIX shell: in single quotes nothing is special,
/// and a single quote itself is put in from outside them.
pub fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` as a JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What an unlucky name, URL or key might hold.
    const ODD: &str = r#"it's "$(id)" `id` \n ${HOME} !! % # ü"#;

    fn with<T>(url: &str, key: &str, show: impl Fn(McpServer<'_>) -> T) -> T {
        show(McpServer { name: "mcp-demo", url, api_key: &key.into() })
    }

    fn parse(text: String) -> Value {
        serde_json::from_str(&text).expect("the snippet is JSON")
    }

    /// What a shell makes of `script`, where `program` prints its arguments one a line.
    fn arguments_of(program: &str, script: &str) -> Vec<String> {
        let stub = format!("{program}() {{ printf '%s\\n' \"$@\" >&2; }}\nset -u\n");
        let ran = Command::new("sh").arg("-c").arg(stub + script).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stderr).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn vscode_gets_the_url_and_the_key_as_they_are() {
        let server = &parse(with(ODD, ODD, |s| s.vscode()))["servers"]["mcp-demo"];
        assert_eq!(server["type"], "http");
        assert_eq!(server["url"], ODD);
        assert_eq!(server["headers"]["api-key"], ODD);
    }

    #[test]
    fn claude_desktop_gets_the_url_and_the_key_as_they_are() {
        let server = &parse(with(ODD, ODD, |s| s.claude_desktop()))["mcpServers"]["mcp-demo"];
        assert_eq!(server["type"], "streamableHttp");
        assert_eq!(server["url"], ODD);
        assert_eq!(server["headers"]["api-key"], ODD);
    }

    #[test]
    fn the_bridge_takes_the_key_from_its_environment() {
        for (url, plain) in [("http://10.0.0.5/mcp", true), ("https://proxy.example/mcp", false)] {
            let text = with(url, ODD, |s| s.claude_desktop_bridge());
            let server = &parse(text)["mcpServers"]["mcp-demo"];
            let arguments: Vec<_> =
                server["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
            assert!(arguments.contains(&url));
            assert_eq!(arguments.contains(&"--allow-http"), plain);
            assert!(arguments.ends_with(&["--header", "api-key:${AI_PROXY_API_KEY}"]));
            assert_eq!(server["env"]["AI_PROXY_API_KEY"], ODD);
        }
    }

    #[test]
    fn claude_code_gets_a_name_that_it_accepts() {
        let key: SecretString = ODD.into();
        let server = McpServer { name: "my.mcp demo", url: ODD, api_key: &key };
        assert_eq!(
            arguments_of("claude", &server.claude_code()),
            [
                "mcp",
                "add",
                "--transport",
                "http",
                "my-mcp-demo",
                ODD,
                "--header",
                &format!("api-key: {ODD}")
            ]
        );
    }

    #[test]
    fn curl_keeps_the_session_for_the_commands_that_follow() {
        let script = with(ODD, ODD, |s| {
            let answer = r"printf 'HTTP/1.1 200 OK\r\nMcp-Session-Id: abc-1\r\n\r\ndata: {}\n'";
            let call = s.curl_call_tool("echo", &serde_json::json!({"message": "it's me"}));
            format!(
                "answer() {{ {answer}; }}\n{}\n{}",
                s.curl_initialize().replace("curl -sS -i", "answer | cat; curl"),
                [s.curl_list_tools(), call].join("\n"),
            )
        });
        let arguments = arguments_of("curl", &script);
        assert_eq!(arguments.iter().filter(|a| *a == ODD).count(), 3);
        assert_eq!(arguments.iter().filter(|a| **a == format!("api-key: {ODD}")).count(), 3);
        assert_eq!(arguments.iter().filter(|a| *a == "Mcp-Session-Id: abc-1").count(), 2);
        let bodies: Vec<Value> =
            arguments.iter().filter_map(|a| serde_json::from_str(a).ok()).collect();
        let methods: Vec<_> = bodies.iter().map(|b| &b["method"]).collect();
        assert_eq!(methods, ["initialize", "tools/list", "tools/call"]);
        assert_eq!(bodies[2]["params"]["arguments"]["message"], "it's me");
    }

    #[test]
    fn python_reads_back_the_url_and_the_key() {
        let text = with(ODD, ODD, |s| s.python());
        let check = "import ast, sys\n\
            for node in ast.walk(ast.parse(sys.argv[1])):\n\
            \x20   if isinstance(node, ast.Constant): print(node.value)";
        let ran = Command::new("python3").args(["-c", check, &text]).output().unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(printed.lines().filter(|line| *line == ODD).count(), 2, "{printed}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_word_is_the_text_itself(text in "[^\\x00\\r\\n]{0,40}") {
            prop_assert_eq!(arguments_of("show", &format!("show {}", shell(&text))), [text]);
        }
    }
}
