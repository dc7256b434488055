"""The Azure AI Proxy's MCP guide, followed to the letter: its client, its curl lines, its paths."""

import json
import subprocess
from pathlib import Path

import pytest
from programs import ROOT, SECONDS, Reach, environment, python
from wire import http, initialize, post

pytestmark = pytest.mark.proxied

EXAMPLE_CLIENT = ROOT / "examples/python/openai_sdk_1.x/mcp/client/client.py"
every_generation = pytest.mark.parametrize("generation", [2, 3, 4])

INITIALIZE = r"""
curl -X POST "https://<proxy-host>/api/v1/mcp/mcp-demo/mcp" \
-H "api-key: <your-proxy-api-key>" \
-H "Content-Type: application/json" \
-H "Accept: application/json, text/event-stream" \
-d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"test","version":"1.0"}}}'
"""
LIST_TOOLS = r"""
curl -X POST "https://<proxy-host>/api/v1/mcp/mcp-demo/mcp" \
-H "api-key: <your-proxy-api-key>" \
-H "Content-Type: application/json" \
-H "Accept: application/json, text/event-stream" \
-H "Mcp-Session-Id: <session-id>" \
-d '{"jsonrpc":"2.0","id":2,"method":"tools/list"}'
"""


def bash(script: str, cwd: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def filled_in(line: str, way: Reach, session: str = "") -> str:
    return (
        line.strip()
        .replace("https://<proxy-host>/api/v1/mcp/mcp-demo/mcp", way.url)
        .replace("<your-proxy-api-key>", way.headers["api-key"])
        .replace("<session-id>", session)
    )


def data_of(stream: str) -> dict:
    return json.loads(next(line for line in stream.splitlines() if line.startswith("data: {")).removeprefix("data: "))


@every_generation
def test_the_curl_lines(generation, reach, tmp_path):
    way = reach(f"guide-fastmcp{generation}")

    # `-D` only keeps the headers, in which the guide's reader finds the session id.
    opened = bash(filled_in(INITIALIZE, way) + " -s -D headers", tmp_path)
    assert data_of(opened)["result"]["serverInfo"]["name"] == "Demo MCP Server"
    lines = (tmp_path / "headers").read_text().splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)

    listed = bash(filled_in(LIST_TOOLS, way, headers["mcp-session-id"]) + " -s", tmp_path)
    assert {tool["name"] for tool in data_of(listed)["result"]["tools"]} == {"echo", "get_current_utc_time"}


@every_generation
def test_the_example_client(generation, reach, proxy):
    way = reach(f"guide-fastmcp{generation}")
    env = environment(
        PROXY_ENDPOINT=proxy.api, PROXY_API_KEY=way.headers["api-key"], MCP_DEPLOYMENT=f"guide-fastmcp{generation}"
    )
    done = subprocess.run(
        [python(f"fastmcp{generation}"), str(EXAMPLE_CLIENT)],
        env=env, capture_output=True, text=True, timeout=SECONDS, check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Available tools: ['echo', 'get_current_utc_time']" in done.stdout
    assert "Echo: Hello!" in done.stdout


@every_generation
@pytest.mark.parametrize("ending", ["", "/", "/mcp", "/mcp/"])
def test_the_url_with_and_without_the_path(generation, ending, client, reach):
    way = reach(f"guide-fastmcp{generation}")
    way.url = way.url.removesuffix("/mcp") + ending

    facts = client(f"fastmcp{generation}").do("tools", way, message="Hello!")

    assert facts["echo"] == "Hello!"


@pytest.mark.parametrize("client_name", ["fastmcp3", "typescript2"])
def test_a_bearer_token_is_as_good(client_name, client, reach):
    way = reach("guide-fastmcp3")
    way.headers = {"authorization": f"Bearer {way.headers['api-key']}"}

    assert client(client_name).do("tools", way, message="Hello!")["echo"] == "Hello!"


def test_the_answer_says_what_is_left_of_the_day(reach):
    way = reach("guide-fastmcp3")
    with http(way) as client:
        session = initialize(client, way.url)
        before = post(client, way.url, "tools/list", mcp_session_id=session)
        call = {"name": "echo", "arguments": {"message": "Hello!"}}
        after = post(client, way.url, "tools/call", call, mcp_session_id=session)

    assert before.headers["x-ratelimit-limit-requests"] == "100000"
    assert before.headers["x-ratelimit-remaining-requests"] == "100000"
    assert after.headers["x-ratelimit-remaining-requests"] == "99999"
