"""From a list of names to printed cards, and from a card to a key that works."""

import csv
import io
import json
import re
import subprocess
from pathlib import Path

import pytest
from journeys import fares, told, open_event, visit
from paper import Paper
from playwright.sync_api import Page, expect
from programs import HERE, SECONDS, Reach, environment, python

NAMES = [
    "Zoë Özdemir",
    'Grace "Amazing" Hopper',
    "Lovelace, Ada",
    "=SUM(A1:A9)",
    "+49 170 1",
    "-1",
    "@ada",
    "Nguyễn Thị Ánh Nguyệt Hoàng Löwenstein Wertheim Freudenberg von und zu Breitenbach und Hohenzollern Sigmaringen de la Cruz y Gil",
]
CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")
MARGINS = dict.fromkeys(["top", "right", "bottom", "left"], "10mm")
A4_WITHOUT_MARGINS = 718
"""Pixels, of which an inch has 96."""
KEY = re.compile(r"aik_[0-9a-hjkmnp-tv-z]{32}")


def cards(organiser: Page, event: str, names: list[str], count: str = "") -> list[str]:
    """Adds attendees and makes their cards; the codes on them."""
    visit(organiser, event, "Attendees")
    organiser.get_by_label("How many").fill(count)
    organiser.get_by_label("Names", exact=True).fill("\n".join(names))
    organiser.get_by_role("button", name="Add", exact=True).click()
    expect(organiser.get_by_role("status")).to_contain_text("added")
    organiser.get_by_role("button", name=re.compile("^Make cards for")).click()
    expect(organiser.get_by_role("heading", level=1)).to_have_text("Cards")
    return organiser.locator(".claim-code").all_inner_texts()


def test_names_that_are_pasted_become_cards_that_can_be_printed(portal, organiser, request):
    event = f"Printed, with a name as long as events may have {request.node.callspec.id}"
    open_event(portal, event)
    visit(organiser, event, "Attendees")
    expect(organiser.get_by_text("Nobody yet.")).to_be_visible()
    codes = cards(organiser, event, NAMES, count="23")
    names = organiser.locator(".claim-name").all_inner_texts()
    assert names == NAMES + [f"issued:{n}" for n in range(9, 24)]
    assert len(set(codes)) == 23 and all(map(CODE.fullmatch, codes))
    assert not KEY.search(organiser.content()), "a key"

    organiser.emulate_media(media="print")
    for screen_only in [
        organiser.get_by_role("navigation"),
        organiser.get_by_role("button"),
        organiser.get_by_text("Print this page"),
    ]:
        assert not any(one.is_visible() for one in screen_only.all())
    for size in ["A4", "Letter"]:
        paper = Paper(organiser.pdf(format=size, margin=MARGINS))
        assert [len(sheet.qr_codes) for sheet in paper.sheets] == [10, 10, 3]
        assert not any("Reports" in sheet.text or "Sign out" in sheet.text for sheet in paper.sheets)
        for name, code in zip(names, codes):
            [sheet] = [sheet for sheet in paper.sheets if code in sheet.text]
            assert f"{portal.origin}/claim#{code}" in sheet.qr_codes, "beside its QR code"
            # Of a very long name as much as there is room for.
            card = rf"{re.escape(name[:28])}.* {re.escape(event)} \S+ \S+ \(UTC\) {code} {portal.origin}/claim"
            assert re.search(card, " ".join(sheet.text.split())), sheet.text
        # A card is 51 mm high with its QR code in the middle, and none is cut.
        middles = [middle for sheet in paper.sheets for middle in sheet.qr_middles_mm]
        assert all(25 <= middle <= paper.height_mm - 25 for middle in middles), middles
    # Nor does one hide a part of itself.
    organiser.set_viewport_size({"width": A4_WITHOUT_MARGINS, "height": 1000})
    for card in organiser.locator(".claim-cards li").all():
        assert card.evaluate("card => card.scrollHeight <= card.clientHeight"), card.inner_text()


def test_a_spreadsheets_file_of_names(portal, organiser, request):
    event = f"Uploaded {request.node.callspec.id}"
    open_event(portal, event)
    visit(organiser, event, "Attendees")
    table = "\ufeffName;E-Mail\r\nZoë Özdemir;zoe@example.org\r\n\"Lovelace; Ada\";\r\n"
    file = {"name": "names.csv", "mimeType": "text/csv", "buffer": table.encode()}
    organiser.get_by_label("Or a CSV file of names").set_input_files(file)
    organiser.get_by_role("button", name="Add", exact=True).click()
    told(organiser, "2 attendees are added: issued:1 to issued:2.")
    expect(organiser.get_by_role("link", name="Zoë Özdemir")).to_be_visible()

    organiser.get_by_label("Names", exact=True).fill("Grace Hopper")
    ansi = {"name": "names.csv", "mimeType": "text/csv", "buffer": "Müller;\r\n".encode("cp1252")}
    organiser.get_by_label("Or a CSV file of names").set_input_files(ansi)
    organiser.get_by_role("button", name="Add", exact=True).click()
    expect(organiser.get_by_text("The file is not text in UTF-8")).to_be_visible()
    expect(organiser.get_by_label("Names", exact=True)).to_have_value("Grace Hopper")


def test_the_cards_as_a_table(portal, organiser, request):
    event = f"Saved {request.node.callspec.id}"
    open_event(portal, event)
    codes = cards(organiser, event, NAMES)
    with organiser.expect_download() as saved:
        organiser.get_by_role("button", name="Save as CSV").click()
    assert re.fullmatch(r"cards-[0-9a-f]{4}-[0-9a-f]{4}\.csv", saved.value.suggested_filename)
    content = saved.value.path().read_bytes()
    assert content.startswith(b"\xef\xbb\xbf"), "or Excel takes umlauts for something else"
    assert not KEY.search(content.decode())
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    as_text = [f"'{name}" if name[0] in "=+-@" else name for name in NAMES]
    assert [row["name"] for row in rows] == as_text
    assert [row["claim_code"] for row in rows] == codes
    assert [row["claim_link"] for row in rows] == [f"{portal.origin}/claim#{code}" for code in codes]


def test_a_scanned_card_fills_the_code_in_and_leaves_no_trace_of_it(portal, ada, visitor, echo, fastmcp):
    open_event(portal, "Scanned", echo)
    [code, other] = cards(ada, "Scanned", ["Ada", "Bob"])
    guest = visitor()
    asked = []
    guest.context.on("request", lambda request: asked.append(f"{request.url} {request.all_headers()}"))
    guest.goto(f"{portal.origin}/claim#{code}")
    field = guest.get_by_label("Card code")
    expect(field).to_have_value(code)
    assert guest.url == f"{portal.origin}/claim"
    expect(guest.get_by_role("button", name="Open my page")).to_be_focused()

    # The next one scans theirs into the page that is open.
    guest.evaluate("code => { location.hash = code }", other)
    expect(field).to_have_value(other)
    assert guest.url == f"{portal.origin}/claim"
    guest.keyboard.press("Enter")

    guest.wait_for_url("**/event/*")
    key = guest.locator("#key").text_content()
    assert KEY.fullmatch(key)
    assert not [one for one in asked if other in one or code in one]
    assert not [line for line in portal.out + portal.err if other in line or code in line]
    guest.go_back()
    assert guest.url == f"{portal.origin}/claim"
    reach = Reach(None, f"{portal.api}/mcp/{echo.name}/mcp", {"api-key": key})
    assert fastmcp.do("tools", reach, message="hi")["echo"] == "hi"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_typed_code_shows_the_key_and_what_to_paste(portal, ada, visitor, echo, fastmcp, scripts):
    event = f"Typed {scripts}"
    open_event(portal, event, echo)
    [code] = cards(ada, event, ["Zoë Özdemir"])
    guest = visitor(java_script_enabled=scripts)
    guest.goto("/claim")
    guest.get_by_label("Card code").fill(f" {code.lower().replace('-', ' ')} ")
    with guest.expect_response("**/event/*") as answer:
        guest.get_by_role("button", name="Open my page").click()
    assert answer.value.headers["cache-control"] == "no-store"
    expect(guest.get_by_text("You are Zoë Özdemir.")).to_be_visible()
    expect(guest.locator("#key")).not_to_be_visible()
    guest.get_by_text("Show the key").click()
    expect(guest.locator("#key")).to_be_visible()
    key = guest.locator("#key").text_content()
    assert fares(portal, key, echo) == "ok"
    if scripts:
        guest.context.grant_permissions(["clipboard-read", "clipboard-write"])
        guest.get_by_role("button", name="Copy").first.click()
        expect(guest.get_by_role("button", name="Copied")).to_be_visible()
        assert guest.evaluate("navigator.clipboard.readText()") == key

    def shown(title: str) -> str:
        part = guest.locator("details", has=guest.get_by_text(title, exact=True))
        if part.get_attribute("open") is None:
            part.locator("summary").click()
        expect(part.locator("pre")).to_be_visible()
        return part.locator("pre").inner_text()

    for title, entries in [
        ("VS Code: .vscode/mcp.json", "servers"),
        ("Claude Desktop: claude_desktop_config.json", "mcpServers"),
    ]:
        [entry] = json.loads(shown(title))[entries].values()
        facts = fastmcp.do("tools", Reach(None, entry["url"], entry["headers"]), message="Hällo ☕")
        assert facts["echo"] == "Hällo ☕"
    tools = "['echo', 'get_current_utc_time']\nget_current_utc_time "
    assert run([python("fastmcp4"), "-"], shown("Python, with FastMCP")).startswith(tools)
    assert run([python("fastmcp2"), "-"], shown("Python, with the MCP SDK")).startswith(tools)
    program = shown("TypeScript, with the MCP SDK")
    listed = run(["node", "--input-type=module", "-"], program, folder=HERE / "typescript")
    assert listed.startswith("[ 'echo', 'get_current_utc_time' ]\nget_current_utc_time {"), listed
    curl = f"{shown('curl: open a session')}\n{shown('curl: then list the tools')}"
    assert '"get_current_utc_time"' in run(["bash", "-euo", "pipefail", "-c", curl])
    bridge = json.loads(shown("Claude Desktop, for versions that only start programs"))
    assert key in json.dumps(bridge)
    assert key in shown("Claude Code: in a shell")

    again = visitor(java_script_enabled=scripts)
    again.goto("/claim")
    again.get_by_label("Card code").fill(code)
    again.get_by_role("button", name="Open my page").click()
    expect(again.locator("#key")).to_have_text(key)
    guest.reload()
    expect(guest.locator("#key")).to_have_text(key)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_card_that_works_once(portal, ada, visitor, echo, scripts):
    event = f"Once {scripts}"
    open_event(portal, event, echo, cards_work_once=True)
    [code] = cards(ada, event, ["Zoë Özdemir"])
    for n in range(2):
        guest = visitor(java_script_enabled=scripts)
        guest.goto("/claim")
        guest.get_by_label("Card code").fill(code)
        guest.get_by_role("button", name="Open my page").click()
        if n == 0:
            key = guest.locator("#key").text_content()
            assert fares(portal, key, echo) == "ok"
    expect(guest.get_by_role("heading", level=1)).to_have_text("This card was used")
    expect(guest.get_by_text("ask the organiser for a new card")).to_be_visible()
    expect(guest.get_by_role("link", name="ada@example.org")).to_have_attribute("href", "mailto:ada@example.org")
    assert key not in guest.content()


def test_a_new_card_voids_the_one_that_was_lost(portal, organiser, visitor, echo, request):
    event = f"Lost {request.node.callspec.id}"
    open_event(portal, event, echo)
    [lost] = cards(organiser, event, ["Ada"])
    organiser.get_by_role("link", name="All attendees").click()
    expect(organiser.get_by_role("row", name="Ada")).to_contain_text("card out")
    organiser.get_by_role("link", name="Ada", exact=True).click()
    organiser.get_by_role("link", name="New card").click()
    organiser.get_by_role("button", name="Make a new card").click()
    code = organiser.locator(".claim-code").inner_text()
    guest = visitor()
    guest.goto(f"/claim#{lost}")
    guest.get_by_role("button", name="Open my page").click()
    expect(guest.get_by_text("a newer card or key voids an older one")).to_be_visible()
    guest.get_by_label("Card code").fill(code)
    guest.get_by_role("button", name="Open my page").click()
    assert fares(portal, guest.locator("#key").text_content(), echo) == "ok"
    visit(organiser, event, "Attendees")
    expect(organiser.get_by_role("row", name="Ada")).to_contain_text("card claimed")


@pytest.mark.parametrize("scripts", [True, False])
def test_who_guesses_is_told_to_wait_and_who_has_a_card_is_not(portal, ada, visitor, scripts):
    event = f"Guessed {scripts}"
    open_event(portal, event)
    [code] = cards(ada, event, ["Ada"])
    guest = visitor(java_script_enabled=scripts)
    guest.goto("/claim")
    guest.get_by_label("Card code").fill("0000-0000-0000")
    guest.get_by_role("button", name="Open my page").click()
    field = guest.get_by_label("Card code")
    expect(field).to_have_attribute("aria-invalid", "true")
    problem = guest.locator("#code-problem")
    expect(problem).to_contain_text("This code is not one that we recognise")
    # More than thirty a minute, even if a minute ends in between.
    for _ in range(62):
        with guest.expect_response("**/claim") as answer:
            guest.get_by_role("button", name="Open my page").click()
        if answer.value.status == 429:
            break
    assert answer.value.status == 429
    expect(problem).to_contain_text("The right one still works at once; wait")
    expect(field).to_have_value("0000-0000-0000")

    field.fill(code)
    guest.get_by_role("button", name="Open my page").click()
    expect(guest.get_by_text("You are Ada.")).to_be_visible()


def run(command: list[str], standard_input: str = "", folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        input=standard_input,
        env=environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout
