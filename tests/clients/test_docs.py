"""docs/mcp-servers.md, done as it is written: only address, keys and dates are filled in."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from programs import ROOT, SECONDS, Reach, environment, python
from proxy import AiProxy, ai_proxy, issue

pytestmark = pytest.mark.proxied

PAGE = (ROOT / "docs/mcp-servers.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def block(language: str, holding: str) -> str:
    [found] = [text for text in blocks(language) if holding in text]
    return found


class Documented:
    """The workshop of the page, up and running."""

    def __init__(self, data: Path, server):
        self.server = server
        text = block("toml", "[[resource]]").replace("http://localhost:8000/mcp", f"{server.origin}/mcp")
        # A window that is open today, whatever day the page was written on.
        text = re.sub(r'^start = .*', 'start = "2020-01-01T00:00"', text, flags=re.MULTILINE)
        text = re.sub(r'^end = .*', 'end = "2120-01-01T00:00"', text, flags=re.MULTILINE)
        (data / "workshop.toml").write_text(text)
        ai_proxy(data, "apply", str(data / "workshop.toml"), MCP_API_KEY=server.key)
        [self.key] = issue(data, 1, "Demo workshop")
        self.proxy = AiProxy(data)

    def filled_in(self, text: str) -> str:
        return text.replace("http://127.0.0.1:8910", self.proxy.origin).replace("<attendee key>", self.key)

    def tools(self, client, url: str, headers: dict[str, str]) -> list[str]:
        return sorted(client.do("tools", Reach(self.server, url, headers), message="Hello!")["tools"])


@pytest.fixture(scope="module")
def documented(server, tmp_path_factory):
    workshop = Documented(tmp_path_factory.mktemp("docs"), server("guide-fastmcp4"))
    with workshop.proxy:
        yield workshop


def run(command: list[str], **variables: str) -> str:
    done = subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_resource_can_be_checked(documented):
    told = ai_proxy(documented.proxy.data, "resource", "check")

    assert "echo" in told
    assert "get_current_utc_time" in told


def test_the_short_url(documented, client):
    url = f"{documented.proxy.api}/mcp/mcp-demo"

    assert documented.tools(client("fastmcp4"), url, {"api-key": documented.key}) == ["echo", "get_current_utc_time"]


@pytest.mark.parametrize("venv", ["fastmcp2", "fastmcp3", "fastmcp4"])
def test_the_python_client(documented, venv):
    program = block("python", "StreamableHttpTransport")

    told = run([python(venv), "-c", program], PROXY_ENDPOINT=documented.proxy.api, PROXY_API_KEY=documented.key)

    assert told.splitlines() == ["['echo', 'get_current_utc_time']", "Hello!"]


@pytest.mark.parametrize(
    ("holding", "servers", "type_"),
    [('"servers"', "servers", "http"), ('"streamableHttp"', "mcpServers", "streamableHttp")],
    ids=["vscode", "claude-desktop"],
)
def test_an_editors_configuration(documented, client, holding, servers, type_):
    [(name, entry)] = json.loads(documented.filled_in(block("json", holding)))[servers].items()

    assert name == "my-mcp-demo"
    assert entry["type"] == type_
    assert documented.tools(client("typescript1"), entry["url"], entry["headers"]) == ["echo", "get_current_utc_time"]


def test_the_bridge_for_claude_desktop(documented, client):
    """mcp-remote is given the URL, and the key by way of a variable."""
    entry = json.loads(documented.filled_in(block("json", "mcp-remote")))["mcpServers"]["my-mcp-demo"]
    name, value = entry["args"][entry["args"].index("--header") + 1].split(":", 1)
    url = next(argument for argument in entry["args"] if argument.startswith("http"))
    assert value == "${AI_PROXY_API_KEY}"

    headers = {name: entry["env"]["AI_PROXY_API_KEY"]}

    assert documented.tools(client("typescript1"), url, headers) == ["echo", "get_current_utc_time"]


def test_claude_codes_command(documented, client, tmp_path):
    """A stand-in for `claude` says which arguments the shell makes of it."""
    stub = tmp_path / "claude"
    stub.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    command = documented.filled_in(block("sh", "claude mcp add"))

    arguments = run(["bash", "-c", f"PATH={tmp_path}:$PATH; {command}"]).splitlines()

    assert arguments[:5] == ["mcp", "add", "--transport", "http", "my-mcp-demo"]
    header, key = arguments[arguments.index("--header") + 1].split(": ")
    assert documented.tools(client("typescript2"), arguments[5], {header: key}) == ["echo", "get_current_utc_time"]


def test_the_curl_commands(documented):
    told = run(["bash", "-euo", "pipefail", "-c", documented.filled_in(block("sh", "curl "))])

    assert '"serverInfo"' in told
    assert '"get_current_utc_time"' in told.splitlines()[-2] + told.splitlines()[-1]
