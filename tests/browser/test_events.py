"""An event's life in the portal: made, checked, previewed, copied, opened and closed by the clock, deleted."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import httpx
import pytest
from clock import starting_at
from journeys import comes_to, fares, told
from playwright.sync_api import Page, expect
from portal import ADA, Portal
from programs import Server, environment
from proxy import AiProxy, issue

GOOD = {
    "name": "Good", "description": "# Welcome", "organizer_name": "Ada", "organizer_email": "ada@example.org",
    "start": "2030-01-01T09:00", "end": "2030-01-02T18:00", "time_zone": "Europe/Berlin",
}
FIELDS = [*GOOD, "daily_request_cap", "requests_per_minute", "max_token_cap", "shared_code", "shared_code_limit"]


def fill(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        page.locator(f"#{name}").fill(text)


def typed(page: Page) -> dict[str, str]:
    return {name: page.locator(f"#{name}").input_value() for name in FIELDS}


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def tick(page: Page, resource: str) -> None:
    page.get_by_role("checkbox", name=re.compile(rf"^{re.escape(resource)} ")).check()


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("name", " ", "Event name is required."),
        ("name", "x" * 65, "Event name has more than 64 characters."),
        ("description", " ", "Description is required."),
        ("description", "x" * 8193, "Description has more than 8192 characters."),
        ("organizer_name", " ", "Organiser's name is required."),
        ("organizer_name", "x" * 129, "Organiser's name has more than 128 characters."),
        ("organizer_email", "nobody", "Organiser's e-mail address is not an e-mail address."),
        ("start", "", "Start is required."),
        ("end", "2030-01-01T09:00", "End must be later than the start."),
        ("end", "2029-12-31T09:00", "End must be later than the start."),
        ("time_zone", "Europe/Atlantis", 'Time zone "Europe/Atlantis" is not an IANA time zone.'),
        ("daily_request_cap", "0", "Daily request cap must be from 1 to 100000."),
        ("daily_request_cap", "100001", "Daily request cap must be from 1 to 100000."),
        ("daily_request_cap", "many", "Daily request cap must be"),
        ("requests_per_minute", "0", "Requests a minute must be from 1 to 100000."),
        ("max_token_cap", "-1", "Max token cap must be"),
        ("shared_code", "abcd", "Shared code must be empty, or 8 to 64 letters and digits."),
        ("shared_code", "abc de", "Shared code must be empty, or 8 to 64 letters and digits."),
        ("shared_code_limit", "0", "Most people who may use it must be from 1 to 100000."),
    ],
)
def test_each_rule_is_told_beside_its_field_and_what_was_typed_stays(organiser, field, value, problem):
    organiser.goto("/admin/events/new")
    fill(organiser, **GOOD)
    # A browser by itself would stop some of it.
    wrong = organiser.locator(f"#{field}")
    for attribute in ["maxlength", "required"]:
        wrong.evaluate("(input, name) => input.removeAttribute(name)", attribute)
    organiser.locator("form.card").evaluate("form => { form.noValidate = true }")
    fill(organiser, **{field: value})
    before = typed(organiser)
    save(organiser)

    expect(organiser.get_by_role("alert")).to_contain_text("Nothing was saved: one field needs another look.")
    says = organiser.locator(f"#{field}-problem")
    expect(says).to_contain_text(problem)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    assert wrong.get_attribute("aria-describedby") == says.get_attribute("id")
    expect(wrong).to_be_focused()
    assert typed(organiser) == before
    organiser.goto("/admin/events")
    expect(organiser.get_by_role("link", name="Good", exact=True)).to_have_count(0)


def test_all_that_is_wrong_is_told_at_once(organiser):
    organiser.goto("/admin/events/new")
    organiser.locator("form.card").evaluate("form => { form.noValidate = true }")
    fill(organiser, **GOOD | {"name": "", "end": "2020-01-01T09:00", "daily_request_cap": "none"})
    save(organiser)
    expect(organiser.get_by_role("alert")).to_contain_text("3 fields need another look")
    expect(organiser.locator("#name")).to_be_focused()


def test_a_description_is_seen_as_attendees_will_see_it(organiser):
    organiser.goto("/admin/events/new")
    scripts = organiser.evaluate("() => document.documentElement.classList.contains('js')")
    hostile = (
        "# Agenda\n\n| Time | What |\n| --- | --- |\n| 9:00 | **Start** |\n\n"
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">\n"
        "[click](javascript:document.title='taken') [docs](https://example.org/docs)\n"
    )
    fill(organiser, description=hostile)
    if not scripts:
        organiser.get_by_role("button", name="Preview").click()
    preview = organiser.get_by_role("region", name="Preview of the description")
    expect(preview.get_by_role("heading", name="Agenda")).to_be_visible()
    expect(preview.get_by_role("cell", name="Start")).to_be_visible()
    assert preview.locator("script, img, [onerror]").count() == 0
    links = [link.get_attribute("href") for link in preview.locator("a[href]").all()]
    assert links == ["https://example.org/docs"]
    assert organiser.title() != "taken"
    expect(organiser.get_by_label("Description", exact=True)).to_have_value(hostile)


def test_a_new_event_begins_in_the_browsers_zone(portal, visitor):
    def zone(timezone_id: str) -> str:
        page = visitor(storage_state=portal.signed_in(ADA), timezone_id=timezone_id)
        page.goto("/admin/events")
        page.get_by_role("link", name="New event").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("New event")
        return page.get_by_label("Time zone").input_value()

    assert zone("Europe/Berlin") == "Europe/Berlin"
    assert zone("America/New_York") == "America/New_York"
    without = visitor(storage_state=portal.signed_in(ADA), timezone_id="Europe/Berlin", java_script_enabled=False)
    without.goto("/admin/events/new")
    assert without.get_by_label("Time zone").input_value() == "UTC"
    without.goto("/admin/events/new?zone=Europe/Atlantis")
    assert without.get_by_label("Time zone").input_value() == "UTC", "one that the proxy does not know"


def test_any_zone_can_be_found_by_a_part_of_its_name(ada):
    ada.goto("/admin/events/new")
    assert ada.get_by_label("Time zone").get_attribute("list") == "zones"
    zones = ada.locator("#zones option").evaluate_all("options => options.map((option) => option.value)")
    assert {"Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "UTC"} <= set(zones)


@pytest.mark.parametrize(
    ("start", "end", "opens", "closes", "note"),
    [
        ("2026-03-29T01:30", "2026-03-29T03:30", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", None),
        ("2026-03-29T02:30", "2026-03-29T05:00", "2026-03-29T01:30:00Z", "2026-03-29T03:00:00Z",
         "The clocks go forward over the start, 2026-03-29 02:30: 2026-03-29 03:30 is meant."),
        ("2026-10-25T02:30", "2026-10-25T12:00", "2026-10-25T00:30:00Z", "2026-10-25T11:00:00Z",
         "The start, 2026-10-25 02:30, occurs twice: the first is meant."),
        ("2026-10-24T09:00", "2026-10-25T02:30", "2026-10-24T07:00:00Z", "2026-10-25T01:30:00Z",
         "The end, 2026-10-25 02:30, occurs twice: the second is meant."),
    ],
)
def test_the_form_says_what_the_dates_are_in_utc_when_clocks_change(organiser, start, end, opens, closes, note):
    organiser.goto("/admin/events/new")
    scripts = organiser.evaluate("() => document.documentElement.classList.contains('js')")
    fill(organiser, start=start, end=end, time_zone="Europe/Berlin")
    if not scripts:
        organiser.get_by_role("button", name="Preview").click()
    window = organiser.locator("#window")
    expect(window).to_contain_text(f"Opens {opens} and closes {closes} (UTC).")
    if note:
        expect(window).to_contain_text(note)
    else:
        expect(window.locator(".hint")).to_have_count(0)


@contextmanager
def at(portal: Portal, utc: str) -> Iterator[AiProxy]:
    """A proxy on the portal's data whose clock stands at this instant when it starts, and goes on from there."""
    with AiProxy(portal.data, env=environment(**starting_at(utc))) as running:
        yield running


def clock(proxy: AiProxy) -> str:
    """The time of day (UTC) by the proxy's clock."""
    said = httpx.get(f"{proxy.origin}/healthz", trust_env=False).headers["date"]
    return f"{parsedate_to_datetime(said):%H:%M:%S}"


def turn(proxy: AiProxy, key: str, server: Server, before: str, after: str) -> tuple[str, str]:
    """Calls until what comes of it is `after`; the times after the last answer before that, and after it."""
    deadline = time.monotonic() + 15
    assert fares(proxy, key, server) == before
    last = clock(proxy)
    while (what := fares(proxy, key, server)) == before and time.monotonic() < deadline:
        last = clock(proxy)
    assert what == after
    return last, clock(proxy)


def test_an_event_opens_and_closes_at_the_right_instants_of_the_day_that_has_23_hours(tmp_path, visitor, echo):
    with Portal(tmp_path) as portal:
        page = visitor(storage_state=portal.signed_in(ADA), base_url=portal.origin)
        page.goto("/admin/resources/new")
        fill(page, name="Demo", deployment=echo.name, endpoint=f"{echo.origin}/mcp", key=echo.key)
        save(page)
        page.goto("/admin/events/new")
        fill(page, **GOOD | {"name": "Night shift", "start": "2026-03-29T01:30", "end": "2026-03-29T03:30"})
        page.get_by_label("Active", exact=True).check()
        tick(page, "Demo")
        save(page)
        told(page, "opens 2026-03-29T00:30:00Z, closes 2026-03-29T01:30:00Z")
        [key] = issue(tmp_path, 1, "Night shift")

    # A Date has whole seconds and may be a second behind.
    with at(portal, "2026-03-29 00:29:56") as proxy:
        closed, opened = turn(proxy, key, echo, "401 event_not_started", "ok")
    assert closed <= "00:30:01" and "00:29:59" <= opened <= "00:30:02", (closed, opened)
    with at(portal, "2026-03-29 01:29:56") as proxy:
        last, ended = turn(proxy, key, echo, "ok", "401 event_ended")
    assert last <= "01:30:01" and "01:29:59" <= ended <= "01:30:02", (last, ended)


def test_resources_are_linked_in_the_order_of_their_numbers(portal, organiser, echo, request):
    n = request.node.callspec.id
    for name in ["Alpha", "Beta", "Gamma"]:
        organiser.goto("/admin/resources/new")
        fill(organiser, name=f"{name} {n}", deployment=f"{name}-{n}", endpoint=f"{echo.origin}/mcp")
        if name == "Beta":
            organiser.get_by_label("Active", exact=True).uncheck()
        save(organiser)
        told(organiser, "is made")
    organiser.goto("/admin/events/new")
    fill(organiser, **GOOD | {"name": f"Ordered {n}"})
    expect(organiser.get_by_role("listitem").filter(has_text=f"Beta {n}")).to_contain_text("inactive")
    for name, position in [("Alpha", "3"), ("Gamma", "1"), ("Beta", "2")]:
        tick(organiser, f"{name} {n}")
        organiser.get_by_label(f"Number of {name} {n}").fill(position)
    save(organiser)
    row = organiser.get_by_role("row", name=f"Ordered {n}")
    if row.count() == 0:
        organiser.goto("/admin/events")
    expect(row.get_by_role("rowheader")).to_contain_text(f"Gamma-{n}, Beta-{n}, Alpha-{n}")


def test_a_copy_has_the_settings_but_nobody_and_no_code(room_with_demo, organiser, echo):
    event, _ = room_with_demo("Original", shared_code="opensesame", daily_request_cap=77)
    organiser.goto("/admin/events")
    organiser.get_by_role("link", name=f"Duplicate {event}").click()
    expect(organiser.get_by_text("none of its attendees and no shared code")).to_be_visible()
    expect(organiser.locator("#name")).to_have_value(f"{event} (copy)")
    expect(organiser.get_by_label("Daily request cap")).to_have_value("77")
    expect(organiser.get_by_label("Shared code", exact=True)).to_have_value("")
    expect(organiser.get_by_label("Active", exact=True)).not_to_be_checked()
    expect(organiser.get_by_role("checkbox", name=re.compile(f" {echo.name}$"))).to_be_checked()
    save(organiser)
    told(organiser, f"{event} (copy) is made")
    organiser.goto("/admin/events")
    copy = organiser.get_by_role("row", name=f"{event} (copy)")
    expect(copy.locator("[data-label=Attendees]")).to_have_text("0")
    expect(copy.locator("[data-label=State]")).to_have_text("inactive")


def test_an_event_with_attendees_is_deleted_by_its_name_with_their_keys(portal, room_with_demo, organiser, echo, request):
    n = request.node.callspec.id
    event, [key] = room_with_demo("Over")

    def ask() -> Page:
        organiser.goto("/admin/events")
        organiser.get_by_role("link", name=f"Delete {event}", exact=True).click()
        asked = organiser.get_by_role("dialog") if n == "scripts" else organiser.locator("form.ask")
        expect(asked).to_be_visible()
        return asked

    asked = ask()
    expect(asked).to_contain_text("Its attendee is deleted with it")
    asked.get_by_label("Name of the event").fill("Something else")
    asked.get_by_role("button", name=f"Delete {event}").click()
    expect(organiser.locator("#name-problem")).to_be_visible()
    expect(organiser.locator("#name")).to_have_value("Something else")
    assert fares(portal, key, echo) == "ok"

    asked = ask()
    asked.get_by_label("Name of the event").fill(event)
    pressed = time.monotonic()
    asked.get_by_role("button", name=f"Delete {event}").click()
    comes_to("401 invalid_api_key", lambda: fares(portal, key, echo), since=pressed)
    told(organiser, f"{event} is deleted, with its attendee and all figures.")
    expect(organiser.get_by_role("link", name=event, exact=True)).to_have_count(0)
