"""An MCP client without a key signs in: a real one opens the page, and a person allows it in Chromium."""

import re

import pytest
from journeys import comes_to, event_id, fares, url
from playwright.sync_api import Browser, expect
from programs import HERE, Program, environment, python
from test_cards import cards

PRINTED = "echo browser %s"
"""In place of a browser: the client prints the address that it would open. No colon, at which Python would split it."""


@pytest.fixture
def person(chromium: Browser):
    """A page of somebody's own browser, which goes where it is sent, also to the client."""
    with chromium.new_context(locale="en-GB") as context:
        context.set_default_timeout(15_000)
        yield context.new_page()


@pytest.mark.parametrize("version", ["fastmcp2", "fastmcp3", "fastmcp4"])
def test_a_client_without_a_key_signs_in_with_a_card_and_calls(portal, room_with_demo, ada, echo, person, tmp_path, version):
    event, _ = room_with_demo("Signing in")
    code = cards(ada, event, ["Grace Hopper"])[-1]
    with client(portal, echo, version, tmp_path) as program:
        person.goto(program.says(r"browser (http\S+)")[1])
        expect(person.get_by_role("heading", level=1)).to_have_text("Sign in to your event")
        person.get_by_label("Card code or API key").fill(code.lower())
        person.get_by_role("button", name="Continue").click()
        main = person.get_by_role("main")
        for text in ["mcp-demo", event, "Grace Hopper", "localhost"]:
            expect(main).to_contain_text(text)
        person.get_by_role("button", name="Allow").click()
        assert "echo" in program.says("tools: (.*)")[1]
        assert "signed in" in program.says("answer: (.*)")[1]

    person.goto(f"{portal.origin}/event/{event_id(ada, event)}")
    apps = person.locator("#apps")
    expect(apps).to_contain_text("(localhost): mcp-demo")
    apps.get_by_role("button", name=re.compile("^Disconnect")).click()
    expect(apps).to_have_count(0)


def test_a_client_that_is_denied_gets_nothing(portal, room_with_demo, echo, person, tmp_path):
    _, [key] = room_with_demo("Denied")
    with client(portal, echo, "fastmcp4", tmp_path) as program:
        person.goto(program.says(r"browser (http\S+)")[1])
        person.get_by_label("Card code or API key").fill(key)
        person.get_by_role("button", name="Continue").click()
        person.get_by_role("button", name="Deny").click()
        program.says("Access was denied")
        assert program.process.wait(15) != 0
    comes_to("ok", lambda: fares(portal, key, echo), seconds=2)


def client(portal, echo, version: str, home) -> Program:
    """A client that has never been here."""
    command = [python(version), str(HERE / "python/oauth_client.py"), url(portal, echo.name)]
    env = environment(BROWSER=PRINTED, HOME=str(home), FASTMCP_CHECK_FOR_UPDATES="off")
    return Program(version, command, env=env)
