"""In the room: one click each, in force within two seconds, told and noted."""

import re
import time

from journeys import changes, comes_to, event_id, fares, told, open_event, reach, tool_call, visit
from playwright.sync_api import Page, expect

REFRESH = 5_000
"""How often the page looks, in milliseconds; another second for what it asks, one for the write before it."""


def press(page: Page, button: str) -> float:
    """When it was pressed."""
    pressed = time.monotonic()
    page.get_by_role("button", name=button, exact=True).click()
    return pressed


def test_a_pause_refuses_every_key_until_the_event_goes_on(portal, room_with_demo, organiser, echo, fastmcp):
    event, [key] = room_with_demo("Paused")
    visit(organiser, event, "In the room")
    expect(organiser.get_by_text("open", exact=True)).to_be_visible()

    paused = press(organiser, "Pause the event")
    comes_to("401 event_inactive", lambda: fares(portal, key, echo), since=paused)
    told(organiser, f"{event} is paused: within two seconds every key is refused")
    expect(organiser.get_by_text("paused", exact=True)).to_be_visible()
    said = fastmcp.fail("tools", reach(portal, key, echo), message="hi")
    assert f'"{event}" is switched off at the moment. Ask Ada (ada@example.org).' in said

    resumed = press(organiser, "Resume the event")
    comes_to("ok", lambda: fares(portal, key, echo), since=resumed)
    told(organiser, f"{event} goes on: keys work again.")
    assert fastmcp.do("tools", reach(portal, key, echo), message="hi")["echo"] == "hi"
    assert changes(organiser)[:2] == [f"resumed {event}", f"paused {event}"]


def test_half_an_hour_more(portal, organiser, request):
    event = f"Extended {request.node.callspec.id}"
    open_event(portal, event, start="2020-01-01T09:00", end="2098-12-31T17:45", time_zone="Europe/Berlin")
    visit(organiser, event, "In the room")
    press(organiser, "Extend by 30 minutes")
    expect(organiser.get_by_role("status")).to_have_text(f"{event} ends at 2098-12-31 18:15 (Europe/Berlin) now.")
    expect(organiser.get_by_text("until 2098-12-31 18:15 (Europe/Berlin)")).to_be_visible()
    organiser.goto("/admin/events")
    expect(organiser.get_by_role("row", name=event)).to_contain_text("2020-01-01 09:00 to 2098-12-31 18:15")
    assert changes(organiser)[0] == f"extended {event}: to 2098-12-31T18:15 Europe/Berlin"


def test_a_click_on_a_page_of_a_while_ago_adds_nothing(portal, organiser, visitor, request):
    event = f"Twice {request.node.callspec.id}"
    open_event(portal, event, end="2098-12-31T17:45")
    colleague = visitor(storage_state=portal.signed_in("ada"))
    for page in [organiser, colleague]:
        visit(page, event, "In the room")
    press(colleague, "Extend by 30 minutes")
    expect(colleague.get_by_role("status")).to_contain_text("ends at 2098-12-31 18:15")
    press(organiser, "Extend by 30 minutes")
    expect(organiser.get_by_role("status")).to_contain_text("Nothing was changed: the end was changed meanwhile")
    expect(organiser.get_by_text("until 2098-12-31 18:15")).to_be_visible()


def test_who_is_at_the_cap_can_call_again_once_it_is_raised(portal, room_with_demo, organiser, echo, fastmcp):
    event, [key] = room_with_demo("Raised", daily_request_cap=4)
    for _ in range(2):
        fastmcp.do("tools", reach(portal, key, echo), message="hi")
    assert tool_call(portal, key, echo) == "429 daily_cap_reached"
    visit(organiser, event, "In the room")
    organiser.get_by_label("Raise by").select_option("50 %")
    raised = press(organiser, "Raise everyone's cap")
    comes_to("ok", lambda: tool_call(portal, key, echo), since=raised)
    told(organiser, "Everyone has 6 requests a day now; it was 4.")
    expect(organiser.get_by_text("6 requests for each attendee.")).to_be_visible()
    assert tool_call(portal, key, echo) == "ok"
    assert tool_call(portal, key, echo) == "429 daily_cap_reached"
    assert changes(organiser)[0] == f"raised the cap {event}: from 4 to 6 a day"


def test_one_resource_is_switched_off_and_on(portal, room_with_demo, organiser, echo, fastmcp):
    event, [key] = room_with_demo("Switched off")
    visit(organiser, event, "In the room")
    switched = press(organiser, f"Switch off {echo.name}")
    comes_to("404 deployment_off", lambda: fares(portal, key, echo), since=switched)
    told(organiser, f"{echo.name} is switched off, in every event that uses it")
    expect(organiser.get_by_role("row", name=echo.name)).to_contain_text("off")
    switched = press(organiser, f"Switch on {echo.name}")
    comes_to("ok", lambda: fares(portal, key, echo), since=switched)
    told(organiser, f"{echo.name} is switched on.")
    assert fastmcp.do("tools", reach(portal, key, echo), message="hi")["echo"] == "hi"
    assert changes(organiser)[:2] == [f"switched on {echo.name}", f"switched off {echo.name}"]


def test_closed_registration_takes_nobody_new(portal, room_with_demo, organiser, echo):
    event, _ = room_with_demo("Closed", shared_code="Welcome2026")
    code = f"{event_id(organiser, event)}@Welcome2026"
    assert fares(portal, f"{code}/ada@example.org", echo) == "ok"
    visit(organiser, event, "In the room")
    names = (f"{code}/guest-{n}@example.org" for n in range(1_000))
    closed = press(organiser, "Close registration")
    comes_to("401 registration_closed", lambda: fares(portal, next(names), echo), since=closed)
    told(organiser, "Registration is closed: nobody new can join.")
    assert fares(portal, f"{code}/ada@example.org", echo) == "ok"
    reopened = press(organiser, "Reopen registration")
    comes_to("ok", lambda: fares(portal, f"{code}/grace@example.org", echo), since=reopened)
    told(organiser, "Registration is open again.")
    assert changes(organiser)[:2] == [f"reopened registration {event}", f"closed registration {event}"]


def figure(page: Page, label: str):
    return page.locator("dl.figures > div").filter(has_text=re.compile(f"^\\s*{label}")).locator("dd")


def test_what_goes_on_shows_by_itself_and_takes_nobodys_focus(portal, room_with_demo, ada, echo, fastmcp):
    event, keys = room_with_demo("Watched", 3)
    visit(ada, event, "In the room")
    ada.evaluate("window.stayed = true")
    held = ada.get_by_role("button", name="Pause the event")
    held.focus()
    expect(figure(ada, "registered")).to_have_text("3")
    fastmcp.do("tools", reach(portal, keys[0], echo), message="hi")
    expect(figure(ada, "connected")).to_have_text("2", timeout=REFRESH + 2_000)
    expect(figure(ada, "first success")).to_have_text("2")
    expect(figure(ada, "now active")).to_have_text("2")
    assert int(figure(ada, "calls a minute").inner_text()) >= 3
    expect(figure(ada, "stuck")).to_have_text("0")
    expect(held).to_be_focused()
    assert ada.evaluate("window.stayed"), "the page was not loaded again"


def test_a_page_that_cannot_be_refreshed_says_so(portal, visitor):
    open_event(portal, "Out of reach")
    page = visitor(storage_state=portal.signed_in("ada"))
    visit(page, "Out of reach", "In the room")
    page.route("**/room", lambda route: route.abort())
    note = page.get_by_text(re.compile("^Not refreshed since .*: reload this page$"))
    expect(note).to_be_visible(timeout=REFRESH + 1_000)
    page.unroute("**/room")
    expect(note).to_have_count(0, timeout=REFRESH + 1_000)


def test_a_page_whose_sign_in_has_ended_says_so_and_asks_no_more(portal, visitor):
    open_event(portal, "Signed out")
    page = visitor(storage_state=portal.signed_in("ada"))
    page.clock.install()
    visit(page, "Signed out", "In the room")
    room = page.url
    cookies = page.context.cookies()
    page.context.clear_cookies()
    note = page.get_by_role("status").filter(has_text="You were signed out.")
    expect(note).to_be_visible(timeout=REFRESH + 1_000)
    expect(page.locator("#now")).to_have_text("You were signed out. Sign in")
    expect(page.get_by_role("button", name="Raise everyone's cap")).to_be_visible()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(3 * REFRESH)
    assert asked == []
    page.context.add_cookies(cookies)
    note.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("heading", level=2, name="Resources")).to_be_visible()
    assert page.url == room, "it leads back to this page"
