"""An MCP client without a key signs in: a real one opens the page, and a person allows it in Chromium."""

import re

import pytest
from journeys import comes_to, event_id, fares, url
from oauth import BRIDGE, FASTMCP, TYPESCRIPT, Client, allow, sign_in
from playwright.sync_api import expect
from test_cards import cards


@pytest.mark.parametrize("version", [*FASTMCP, *TYPESCRIPT, BRIDGE])
def test_a_client_signs_in_with_a_card_until_it_is_disconnected(
    portal, room_with_demo, ada, echo, person, tmp_path, version
):
    event, _ = room_with_demo("Signing in")
    with Client(version, url(portal, echo.name), tmp_path) as client:
        code = cards(ada, event, ["Grace Hopper"])[-1]
        client.begin("signed in")
        sign_in(person, client.next_visit(), code.lower())
        main = person.get_by_role("main")
        for text in ["mcp-demo", event, "Grace Hopper", "localhost"]:
            expect(main).to_contain_text(text)
        allow(person)
        assert client.ends() == ["answer: signed in"]
        assert client.call("still is") == ["answer: still is"]

        person.goto(f"{portal.origin}/event/{event_id(ada, event)}")
        apps = person.locator("#apps")
        expect(apps).to_contain_text("(localhost): mcp-demo")
        apps.get_by_role("button", name=re.compile("^Disconnect")).click()
        expect(apps).to_have_count(0)
        person.goto(client.calls_until_it_sends_somebody("again"))
        allow(person)
        assert client.ends() == ["answer: again"]


def test_a_client_that_is_denied_gets_nothing(portal, room_with_demo, echo, person, tmp_path):
    _, [key] = room_with_demo("Denied")
    with Client("fastmcp4", url(portal, echo.name), tmp_path) as client:
        client.begin("denied")
        sign_in(person, client.next_visit(), key)
        person.get_by_role("button", name="Deny").click()
        [end] = client.ends()
        assert end.startswith("error: ") and "Access was denied" in "".join(client.out + client.err)
    comes_to("ok", lambda: fares(portal, key, echo), seconds=2)
