"""What attendees' clients just did, as figures, charts and files."""

import csv
import io
import re

import httpx
import pytest
from journeys import admitted, comes_to, comes_to_show, open_event, reach, url, visit
from playwright.sync_api import Page, expect
from wire import ACCEPT

REFRESH = 10_000
"""How often the page looks, in milliseconds."""
LAG = 3_000
"""For the write before it, and for what it asks."""


def figure(page: Page, label: str):
    return page.locator("dl.figures > div").filter(has_text=re.compile(f"^\\s*{label}")).locator("dd")


def cells(page: Page, table: str) -> dict[str, list[str]]:
    """A table of the page, by what its rows are headed."""
    rows = page.locator(f"#{table} tbody tr").all()
    return {row.get_by_role("rowheader").inner_text(): row.get_by_role("cell").all_inner_texts() for row in rows}


def saved(page: Page, table: str) -> list[dict[str, str]]:
    """The rows of a table's file."""
    with page.expect_download() as download:
        page.get_by_role("link", name=f"CSV of figures {table}").click()
    assert download.value.suggested_filename.endswith(".csv")
    return list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"), newline="")))


def stumbles(portal, key, echo) -> None:
    """A call that the server refuses: it names no session."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"api-key": key, "accept": ACCEPT, "mcp-protocol-version": "2025-11-25"}
    answer = httpx.post(url(portal, echo.name), json=body, headers=headers, trust_env=False)
    assert answer.status_code == 400 and answer.headers["x-error-source"] == "backend", answer.text


def test_calls_that_were_just_made_stand_in_every_table_chart_and_file(portal, organiser, echo, fastmcp, request):
    event = f"Measured {request.node.callspec.id}"
    open_event(portal, event, echo)
    visit(organiser, event, "Metrics")
    expect(organiser.get_by_text("Nobody has called yet.")).to_be_visible()
    # The last one opens a session, and that is all.
    busy, calm, stuck, _ = admitted(portal, event, echo, 4)
    for key in [busy, busy, calm]:
        assert fastmcp.do("tools", reach(portal, key, echo), message="hi")["echo"] == "hi"
    stumbles(portal, stuck, echo)
    comes_to_show(figure(organiser, "stuck"), "1")
    comes_to_show(organiser.locator("#by-operation"), "echo")

    assert [figure(organiser, label).inner_text() for label in ["registered", "connected", "first success"]] == [
        "4", "4", "3",
    ]
    assert figure(organiser, "now active").inner_text() == "4"
    operations = cells(organiser, "by-operation")
    assert operations["echo tools/call"][:3] == [echo.name, "3", "0"]
    assert operations["get_current_utc_time tools/call"][:3] == [echo.name, "3", "0"]
    assert operations["tools/list"][:3] == [echo.name, "4", "1"]
    requests = sum(int(row[1]) for row in operations.values())
    assert cells(organiser, "by-resource")[echo.name][:2] == [str(requests), "1"]
    for time in cells(organiser, "by-resource")[echo.name][2:4]:
        assert re.fullmatch(r"\d+ ms|\d+\.\d s", time)
    attendees = cells(organiser, "by-attendee")
    assert list(attendees)[:2] == ["issued:1", "issued:2"] and attendees["issued:3"][:2] == ["1", "1"]
    assert int(attendees["issued:1"][0]) == 2 * int(attendees["issued:2"][0]) > 0
    assert sum(int(row[0]) for row in attendees.values()) == requests
    over_time = cells(organiser, "over-time").values()
    assert (sum(int(row[0]) for row in over_time), sum(int(row[1]) for row in over_time)) == (requests, 1)

    chart = organiser.get_by_role("img", name=re.compile(r"^Requests At most \d+ in one minute, at \d\d:\d\d; 1 errors? in all\.$"))
    expect(chart).to_be_visible()
    expect(organiser.get_by_role("img", name=re.compile(r"^Active attendees At most \d in one minute"))).to_be_visible()

    [resource] = saved(organiser, "by resource")
    assert (resource["resource"], resource["requests"], resource["errors"]) == (echo.name, str(requests), "1")
    by_tool = {row["tool or prompt"] or row["operation"]: row for row in saved(organiser, "by tool and operation")}
    assert (by_tool["echo"]["requests"], by_tool["tools/list"]["errors"]) == ("3", "1")
    people = {row["attendee"]: row["requests"] for row in saved(organiser, "by attendee")}
    assert people == {who: row[0] for who, row in attendees.items()}
    assert sum(int(row["requests"]) for row in saved(organiser, "over time")) == requests

    for stretch in ["A week by hour", "Three months by day"]:
        organiser.get_by_role("link", name=stretch).click()
        expect(organiser.get_by_role("link", name=stretch)).to_have_attribute("aria-current", "true")
        assert cells(organiser, "by-operation")["echo tools/call"][1] == "3"
        over_time = cells(organiser, "over-time").values()
        assert sum(int(row[0]) for row in over_time) == requests
    [day] = saved(organiser, "over time")
    assert (day["requests"], day["active"]) == (str(requests), "4")

    assert fastmcp.do("tools", reach(portal, calm, echo), message="hi")
    refresh = organiser.get_by_role("link", name="Refresh")

    def echoes() -> str:
        refresh.click()
        return cells(organiser, "by-operation")["echo tools/call"][1]

    comes_to("4", echoes, seconds=LAG / 1000)


def test_new_calls_show_by_themselves_around_what_somebody_holds(portal, room_with_demo, ada, echo, fastmcp):
    event, [key] = room_with_demo("Live")
    visit(ada, event, "Metrics")
    comes_to_show(ada.get_by_role("main"), "CSV")
    ada.evaluate("window.stayed = true")
    saved(ada, "by resource")
    held = ada.get_by_role("link", name="CSV of figures by resource")
    held.focus()
    fastmcp.do("tools", reach(portal, key, echo), message="hi")
    row = ada.locator("#by-operation").get_by_role("row", name="echo")
    expect(row).to_be_visible(timeout=REFRESH + LAG)
    requests = sum(int(row[1]) for row in cells(ada, "by-operation").values())
    expect(ada.locator("#by-resource").get_by_role("row", name=echo.name)).to_contain_text(str(requests))
    expect(held).to_be_focused()
    assert ada.evaluate("window.stayed"), "the page was not loaded again"


@pytest.mark.parametrize("scripts", [True, False])
def test_reports_are_searched_sorted_and_saved_on_a_phone_too(portal, room_with_demo, visitor, ada, echo, fastmcp, scripts):
    quiet, _ = room_with_demo("Quiet")
    lively, [key] = room_with_demo("=Lively")
    fastmcp.do("tools", reach(portal, key, echo), message="hi")
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = visitor(storage_state=portal.signed_in("ada"), java_script_enabled=scripts, **phone)
    page.goto("/admin/reports")
    row = page.locator("tbody").get_by_role("row", name=lively)
    expect(row).to_be_visible()
    page.get_by_role("searchbox").fill(str(scripts).upper())
    page.get_by_role("button", name="Search").click()
    names = page.locator("tbody").get_by_role("rowheader").get_by_role("link")
    expect(names).to_have_count(2)

    def requests() -> list[int]:
        page.reload()
        return [int(cell) for cell in page.locator("tbody td:nth-child(5)").all_inner_texts()]

    comes_to(True, lambda: max(requests()) > 3)
    heading = page.get_by_role("columnheader", name="Requests")
    heading.get_by_role("link").tap()
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(names).to_have_text([lively, quiet])
    heading.get_by_role("link").tap()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(names).to_have_text([quiet, lively])
    total = page.locator("tfoot").get_by_role("row")
    expect(total).to_contain_text("All 2 events")
    assert int(total.locator("td").nth(1).inner_text()) == sum(requests())

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"), newline="")))
    assert [row["event"] for row in rows] == [quiet, f"'{lively}"]
    assert [int(row["requests"]) for row in rows] == requests()
    assert {(row["owner"], row["attendees"], row["connected"]) for row in rows} == {("ada", "1", "1")}

    page.get_by_role("searchbox").fill("nothing of the kind")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("contains “nothing of the kind”")).to_be_visible()

    page.goto("/admin/reports?q=" + str(scripts))
    page.get_by_role("link", name=lively).click()
    expect(page.get_by_role("navigation", name="This event").locator("[aria-current=page]")).to_have_text("Metrics")


def test_another_owner_reports_none_of_it(portal, visitor, ada):
    open_event(portal, "Private")
    ada.goto("/admin/reports")
    expect(ada.get_by_role("link", name="Private")).to_be_visible()
    grace = visitor(storage_state=portal.signed_in("grace"))
    grace.goto("/admin/reports")
    expect(grace.get_by_text("There are no events yet.")).to_be_visible()
    assert "Private" not in grace.content()
