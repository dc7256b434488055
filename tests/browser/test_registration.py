"""Closing an event to new people in its form: the shared code refuses them, and nobody is thrown out."""

from journeys import IN_FORCE, comes_to, event_id, fares, told, visit
from playwright.sync_api import expect


def test_an_event_that_is_closed_takes_nobody_new(portal, room_with_demo, organiser, echo):
    event, [issued] = room_with_demo("Full house", shared_code="Welcome2026")
    code = f"{event_id(organiser, event)}@Welcome2026"
    assert fares(portal, f"{code}/ada@example.org", echo) == "ok"

    choices = organiser.get_by_role("group", name="Registration")
    choice = choices.get_by_label("With the shared code")
    expect(choice).to_be_checked()
    expect(choices.get_by_label("With GitHub")).to_be_disabled()
    choice.uncheck()
    organiser.get_by_role("button", name="Save", exact=True).click()
    told(organiser, event)
    names = (f"{code}/guest-{n}@example.org" for n in range(1_000))
    comes_to("401 registration_closed", lambda: fares(portal, next(names), echo), seconds=IN_FORCE)
    assert fares(portal, f"{code}/ada@example.org", echo) == "ok"
    assert fares(portal, issued, echo) == "ok"

    visit(organiser, event, "In the room")
    expect(organiser.get_by_text("Closed in the settings of the event: nobody new can join.")).to_be_visible()
    expect(organiser.get_by_role("button", name="Reopen registration")).to_have_count(0)
    organiser.get_by_role("link", name="Change it there").click()
    expect(choice).not_to_be_checked()
    choice.check()
    organiser.get_by_role("button", name="Save", exact=True).click()
    told(organiser, event)
    comes_to("ok", lambda: fares(portal, f"{code}/grace@example.org", echo), seconds=IN_FORCE)
