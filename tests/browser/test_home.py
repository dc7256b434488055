"""Home: what is live, what comes next, what needs attention."""

import re

from journeys import IN_FORCE, comes_to_show, open_event, reach, told
from playwright.sync_api import expect

REFRESH = 10_000
"""How often the page looks, in milliseconds."""


def test_what_is_live_and_what_needs_attention(portal, room_with_demo, organiser, echo, fastmcp, request):
    empty = f"Empty {request.node.callspec.id}"
    open_event(portal, empty)
    event, keys = room_with_demo("On", 3, daily_request_cap=2)
    organiser.goto("/admin")
    card = organiser.get_by_role("article").filter(has=organiser.get_by_role("link", name=event, exact=True))
    expect(card).to_contain_text("live")
    for key in keys[:2]:
        fastmcp.do("tools", reach(portal, key, echo), message="hi")
    comes_to_show(card, "3 of 3 connected")
    attention = organiser.locator("section", has=organiser.get_by_role("heading", name="Needs attention"))
    expect(attention).to_contain_text(f"{empty} has no resources, so there is nothing to call")
    comes_to_show(attention, f"{event} has 2 attendees, of 2 who called today, with no requests left until midnight UTC")
    card.get_by_role("link", name="In the room").click()
    organiser.get_by_role("button", name="Pause the event").click()
    told(organiser, f"{event} is paused")
    organiser.goto("/admin")
    expect(attention).to_contain_text(f"{event} is switched off, although it would be open now")
    expect(card).to_have_count(0)
    organiser.get_by_role("link", name=event, exact=True).first.click()
    expect(organiser.get_by_role("navigation", name="This event")).to_contain_text(event)


def test_what_changes_shows_by_itself(portal, ada):
    open_event(portal, "Open all along")
    ada.goto("/admin")
    ada.evaluate("window.stayed = true")
    expect(ada.get_by_role("heading", name="Open just now")).to_have_count(0)
    open_event(portal, "Open just now")
    expect(ada.get_by_role("heading", name="Open just now")).to_be_visible(timeout=REFRESH + IN_FORCE * 1_000)
    attention = ada.get_by_role("listitem").filter(has_text=re.compile("^Open just now has no resources"))
    expect(attention).to_be_visible()
    assert ada.evaluate("window.stayed"), "the page was not loaded again"


def test_what_is_planned_starts_next(portal, organiser, request):
    event = f"Planned {request.node.callspec.id}"
    open_event(portal, event, start="2090-03-01T09:00", end="2090-03-01T17:00", time_zone="Europe/Berlin")
    organiser.goto("/admin")
    planned = organiser.locator("section", has=organiser.get_by_role("heading", name="Starts next"))
    card = planned.get_by_role("article").filter(has_text=event)
    expect(card).to_contain_text("2090-03-01 09:00 to 2090-03-01 17:00, Europe/Berlin")
