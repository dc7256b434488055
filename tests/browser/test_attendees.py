"""The attendees of an event: found, switched off and on, given keys and caps, deleted."""

import re
import time

import pytest
from journeys import changes, comes_to, comes_to_show, fares, told, open_event, reach, tool_call, visit
from playwright.sync_api import Page, expect
from proxy import issue


def add(page: Page, event: str, *names: str) -> None:
    visit(page, event, "Attendees")
    page.get_by_label("Names", exact=True).fill("\n".join(names))
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("added")


def found(page: Page, search: str) -> list[str]:
    page.get_by_role("searchbox").fill(search)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("searchbox")).to_have_value(search)
    return page.get_by_role("rowheader").get_by_role("link").all_inner_texts()


def person(page: Page, event: str, name: str) -> None:
    """Opens the attendee's own page."""
    visit(page, event, "Attendees")
    page.get_by_role("rowheader").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_people_are_found_by_a_part_of_their_name(portal, organiser, request):
    event = f"Searched {request.node.callspec.id}"
    open_event(portal, event)
    add(organiser, event, "Zoë ÖZDEMIR", "Émile Zola", "Ada Lovelace", "100 % Ada", "<b>Bob</b>")
    assert found(organiser, "özdemir") == ["Zoë ÖZDEMIR"]
    assert found(organiser, "ÉMILE") == ["Émile Zola"]
    assert found(organiser, "éM") == ["Émile Zola"]
    assert found(organiser, "ada") == ["Ada Lovelace", "100 % Ada"]
    assert found(organiser, "%") == ["100 % Ada"]
    assert found(organiser, "<B>") == ["<b>Bob</b>"]
    assert found(organiser, "issued:2") == ["Émile Zola"]
    assert found(organiser, "nobody") == []
    organiser.get_by_role("link", name="Show everybody").click()
    expect(organiser.get_by_role("rowheader")).to_have_count(5)


def test_more_than_fit_on_a_page_are_on_the_next(portal, organiser, request):
    event = f"Paged {request.node.callspec.id}"
    open_event(portal, event)
    issue(portal.data, 51, event)
    visit(organiser, event, "Attendees")
    expect(organiser.get_by_role("rowheader")).to_have_count(50)
    organiser.get_by_role("link", name="Next").click()
    expect(organiser.get_by_role("rowheader")).to_have_text(["issued:51"])
    organiser.get_by_role("link", name="Previous").click()
    expect(organiser.get_by_role("rowheader").first).to_have_text("issued:1")


def test_who_is_deactivated_is_refused_within_two_seconds_until_reactivated(portal, room_with_demo, organiser, echo, fastmcp):
    event, [key, neighbour] = room_with_demo("Switched", 2)
    assert fastmcp.do("tools", reach(portal, key, echo), message="hi")["echo"] == "hi"
    person(organiser, event, "issued:1")
    comes_to_show(organiser.get_by_role("row", name="Used today"), "2 of 1,024")

    clicked = time.monotonic()
    organiser.get_by_role("button", name="Deactivate").click()
    comes_to("401 attendee_disabled", lambda: fares(portal, key, echo), since=clicked)
    told(organiser, "issued:1 is deactivated")
    expect(organiser.get_by_text("deactivated", exact=True)).to_be_visible()
    said = fastmcp.fail("tools", reach(portal, key, echo), message="hi")
    assert "has been switched off. Ask Ada (ada@example.org)." in said
    assert fares(portal, neighbour, echo) == "ok"

    clicked = time.monotonic()
    organiser.get_by_role("button", name="Reactivate").click()
    comes_to("ok", lambda: fares(portal, key, echo), since=clicked)
    told(organiser, "issued:1 is active again")
    comes_to_show(organiser.get_by_role("row", name="Last error"), "attendee_disabled")
    assert changes(organiser)[:2] == [f"activated issued:1 of {event}", f"deactivated issued:1 of {event}"]


def test_a_new_key_works_at_once_and_the_old_one_stops(portal, room_with_demo, organiser, echo, fastmcp):
    event, [old] = room_with_demo("Rekeyed")
    person(organiser, event, "issued:1")
    clicked = time.monotonic()
    organiser.get_by_role("link", name="New key").click()
    organiser.get_by_role("button", name="Make a new key").click()
    comes_to("401 invalid_api_key", lambda: fares(portal, old, echo), since=clicked)
    new = organiser.get_by_role("status").locator("code").inner_text()
    assert re.fullmatch("aik_[0-9a-hjkmnp-tv-z]{32}", new) and new != old
    assert fastmcp.do("tools", reach(portal, new, echo), message="hi")["echo"] == "hi"
    assert new not in organiser.url
    organiser.reload()
    assert new not in organiser.content(), "it is shown once"
    assert changes(organiser)[0] == f"new key issued:1 of {event}"


def test_somebody_at_their_cap_goes_on_with_one_of_their_own(portal, room_with_demo, organiser, echo):
    event, [key] = room_with_demo("Capped", daily_request_cap=1)
    assert tool_call(portal, key, echo) == "ok"
    assert tool_call(portal, key, echo) == "429 daily_cap_reached"
    person(organiser, event, "issued:1")
    organiser.get_by_label("Their own cap").fill("none")
    organiser.get_by_role("button", name="Save").click()
    problem = organiser.get_by_text("Their own cap must be a whole number from 1 to 100000.")
    expect(problem).to_be_visible()
    expect(organiser.get_by_label("Their own cap")).to_have_value("none")

    organiser.get_by_label("Their own cap").fill("2")
    clicked = time.monotonic()
    organiser.get_by_role("button", name="Save").click()
    comes_to("ok", lambda: tool_call(portal, key, echo), since=clicked)
    assert tool_call(portal, key, echo) == "429 daily_cap_reached"
    told(organiser, "issued:1 has 2 requests a day of their own now.")


@pytest.mark.parametrize("scripts", [True, False])
def test_deleting_asks_by_name_and_stops_the_key(portal, visitor, echo, scripts):
    event = f"Deleted {scripts}"
    open_event(portal, event, echo)
    page = visitor(storage_state=portal.signed_in("ada"), java_script_enabled=scripts)
    add(page, event, "Zoë Özdemir")
    page.get_by_role("link", name="Zoë Özdemir").click()
    page.get_by_role("link", name="New key").click()
    page.get_by_role("button", name="Make a new key").click()
    key = page.get_by_role("status").locator("code").inner_text()
    comes_to("ok", lambda: fares(portal, key, echo))

    page.get_by_role("link", name="Delete …").click()
    asked = page.get_by_role("dialog", name="Delete Zoë Özdemir?") if scripts else page.get_by_role("main")
    expect(asked.get_by_role("heading", level=2)).to_have_text("Delete Zoë Özdemir?")
    asked.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Zoë Özdemir")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert fares(portal, key, echo) == "ok"

    page.get_by_role("link", name="Delete …").click()
    clicked = time.monotonic()
    page.get_by_role("button", name="Delete Zoë Özdemir").click()
    comes_to("401 invalid_api_key", lambda: fares(portal, key, echo), since=clicked)
    told(page, "Zoë Özdemir is deleted")
    expect(page.get_by_text("Nobody yet.")).to_be_visible()
    assert changes(page)[0] == f"deleted issued:1 of {event}"
