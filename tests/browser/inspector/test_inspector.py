"""MCP's own tools look at the sign-in: the conformance suite for authorization servers, and the Inspector."""

import json
import socket
from pathlib import Path

import httpx
from journeys import url
from oauth import SigningIn, allow, show, sign_in
from playwright.sync_api import expect
from programs import SECONDS
from test_cards import cards

TOOLS = Path(__file__).parent / "node_modules/.bin"


def tool(name: str, *arguments: str, **variables: str) -> SigningIn:
    """One of the tools, under the Node.js that they need. None of them opens a browser by itself."""
    command = [str(TOOLS / "node"), str(TOOLS / name), *arguments]
    return SigningIn(name, command, BROWSER="true", **variables)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def test_the_conformance_suite_finds_no_fault(portal, room_with_demo, echo, person, tmp_path):
    _, [key] = room_with_demo("Conformance")
    port = free_port()
    client = {"client_name": "Conformance", "redirect_uris": [f"http://127.0.0.1:{port}/callback"]}
    registered = httpx.post(f"{portal.origin}/register", json=client, trust_env=False).json()["client_id"]
    arguments = ["authorization", "--url", portal.origin, "--resource", url(portal, echo.name)]
    arguments += ["--client-id", registered, "--port", port, "--output-dir", str(tmp_path)]
    with tool("conformance", *arguments) as suite:
        sign_in(person, suite.next_visit(), key)
        allow(person)
        suite.process.wait(SECONDS)
    checks = [check for file in tmp_path.glob("*/checks.json") for check in json.loads(file.read_text())]
    assert {check["id"]: check["status"] for check in checks} == {
        "authorization-server-metadata": "SUCCESS",
        "authorization-server-metadata-cimd": "SUCCESS",
        "authorization-code-grant": "SUCCESS",
    }, checks


def test_the_inspectors_command_line_signs_in_once(portal, room_with_demo, ada, echo, person, tmp_path):
    event, _ = room_with_demo("Command line")
    code = cards(ada, event, ["Grace Hopper"])[-1]

    def echoes(message: str) -> SigningIn:
        arguments = ["--cli", url(portal, echo.name), "--transport", "http"]
        arguments += ["--callback-url", "http://127.0.0.1:0/oauth/callback"]
        arguments += ["--method", "tools/call", "--tool-name", "echo", "--tool-arg", f"message={message}"]
        kept = {"HOME": str(tmp_path), "MCP_INSPECTOR_SECRET_STORE": "file", "MCP_AUTO_OPEN_ENABLED": "true"}
        return tool("mcp-inspector", *arguments, **kept)

    with echoes("first") as inspector:
        sign_in(person, inspector.next_visit(), code)
        allow(person)
        inspector.says('"text": "first"')
    with echoes("second") as inspector:
        inspector.says('"text": "second"')
        assert inspector.visits() == []


def test_the_inspectors_page_signs_in_lists_the_tools_and_calls_one(
    portal, room_with_demo, ada, echo, person, tmp_path
):
    event, _ = room_with_demo("By hand")
    code = cards(ada, event, ["Grace Hopper"])[-1]
    arguments = ["--web", "--server-url", url(portal, echo.name), "--transport", "http"]
    kept = {"HOME": str(tmp_path), "MCP_INSPECTOR_SECRET_STORE": "file", "MCP_AUTO_OPEN_ENABLED": "false"}
    ports = {"HOST": "127.0.0.1", "CLIENT_PORT": free_port(), "MCP_SANDBOX_PORT": free_port()}
    with tool("mcp-inspector", *arguments, **kept, **ports) as inspector:
        person.goto(inspector.says(r"http://\S+\?MCP_INSPECTOR_API_TOKEN=\w+")[0])
        # A click on the switch itself, which its label covers, is not one on it for Playwright.
        person.get_by_role("switch", name="Connect or disconnect").click(force=True)
        show(person, code)
        allow(person)
        person.get_by_text("Tools", exact=True).click()
        person.get_by_role("button", name="echo").click()
        person.get_by_role("textbox", name="message").fill("typed")
        person.get_by_role("button", name="Execute Tool").click()
        expect(person.get_by_text("typed", exact=True)).to_be_visible()
