"""An attendee's minute: from a card or the event's link to a client that works."""

import json
import re
from urllib.parse import unquote

import httpx
import pytest
from journeys import comes_to, event_id, fares, open_event, reach, visit
from playwright.sync_api import Page, expect
from test_cards import cards

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SHARED = "Welcome2026"


class Hands:
    """Counts what a person has to do on our pages."""

    def __init__(self) -> None:
        self.clicks = 0
        self.fields = 0

    def click(self, page: Page, role: str, name: str) -> None:
        self.clicks += 1
        page.get_by_role(role, name=name, exact=True).click()

    def fill(self, page: Page, label: str, text: str) -> None:
        self.fields += 1
        page.get_by_label(label, exact=True).fill(text)


def key_on(page: Page) -> str:
    return page.locator("#key").text_content()


def standing(page: Page):
    return page.locator("#standing .badge")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_from_a_card_on_the_phone_to_a_call_from_the_computer(portal, ada, visitor, echo, fastmcp, scripts, capsys):
    event = f"From a card {scripts}"
    open_event(portal, event, echo)
    [code] = cards(ada, event, ["Zoë Özdemir"])
    hands = Hands()
    phone = visitor(java_script_enabled=scripts, **PHONE)
    phone.goto(f"/claim#{code}")
    if not scripts:
        hands.fill(phone, "Card code", code)
    hands.click(phone, "button", "Open my page")
    expect(standing(phone)).to_have_text("No call yet")
    hands.click(phone, "button", "Continue on your computer")
    short = phone.locator("#continue-code").inner_text()

    computer = visitor(java_script_enabled=scripts)
    computer.goto(phone.locator("p.large code").first.inner_text())
    hands.fill(computer, "Code or event id", short)
    hands.click(computer, "button", "Continue")
    expect(computer.get_by_text("You are Zoë Özdemir.")).to_be_visible()
    if scripts:
        expect(phone.locator("#continued")).to_contain_text("Opened")
    link = computer.get_by_role("link", name="Add to VS Code").get_attribute("href")
    assert hands.clicks <= 3, "up to the link that sets the editor up"
    setup = json.loads(unquote(link.removeprefix("vscode:mcp/install?")))
    key = setup["headers"]["api-key"]
    assert key == key_on(computer)

    hands.click(computer, "link", "Test my setup")
    expect(standing(computer)).to_have_text("Waiting for your call")
    comes_to("ok", lambda: fares(portal, key, echo))
    way = reach(portal, key, echo)
    assert setup["url"] == way.url
    assert fastmcp.do("tools", way, message="hi")["echo"] == "hi"
    if not scripts:
        comes_to("Working", lambda: [computer.reload(), standing(computer).inner_text()][1], seconds=15)
    expect(standing(computer)).to_have_text("Working", timeout=15_000)
    with capsys.disabled():
        print(f"\n  an attendee's minute: {hands.clicks} clicks and {hands.fields} fields, scripts: {scripts}")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_from_the_link_of_an_event_to_a_call(portal, ada, visitor, echo, fastmcp, scripts):
    event = f"From a link {scripts}"
    open_event(portal, event, echo, shared_code=SHARED)
    guest = visitor(java_script_enabled=scripts)
    guest.goto(f"/event/{event_id(ada, event)}")
    expect(guest.locator(".state .badge")).to_have_text("Open")
    guest.get_by_label("Shared code").fill("welcome2026")
    guest.get_by_label("Your name").fill("李 O'Neill-Müller")
    guest.get_by_role("button", name="Join", exact=True).click()
    expect(guest.get_by_text("You are 李 O'Neill-Müller.")).to_be_visible()
    key = key_on(guest)
    comes_to("ok", lambda: fares(portal, key, echo))
    assert fastmcp.do("tools", reach(portal, key, echo), message="hi")["echo"] == "hi"
    comes_to("Working", lambda: [guest.reload(), standing(guest).inner_text()][1], seconds=15)
    visit(ada, event, "Attendees")
    expect(ada.get_by_role("row", name="李 O'Neill-Müller")).to_be_visible()

    other = visitor(java_script_enabled=scripts)
    other.goto(guest.url)
    other.get_by_label("Shared code").fill(SHARED)
    other.get_by_label("Your name").fill("李 o'neill-müller")
    other.get_by_role("button", name="Join", exact=True).click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Is that you?")
    other.get_by_role("button", name="Yes, that is me").click()
    expect(standing(other)).to_have_text("Working")
    assert key not in other.content()
    expect(other.get_by_role("link", name="New key …")).to_have_count(0)


def test_a_refused_call_is_shown_with_what_to_do(portal, ada, visitor, echo):
    open_event(portal, "Refused", echo)
    [code] = cards(ada, "Refused", ["Ada"])
    guest = visitor()
    guest.goto(f"/claim#{code}")
    guest.get_by_role("button", name="Open my page").click()
    key = key_on(guest)
    comes_to("ok", lambda: fares(portal, key, echo))
    guest.get_by_role("link", name="Test my setup").click()
    expect(standing(guest)).to_have_text("Waiting for your call")
    way = reach(portal, key, echo)
    answer = httpx.post(way.url.replace(echo.name, "mcp-dmeo"), headers=way.headers, json={}, trust_env=False)
    assert answer.status_code == 404
    expect(standing(guest)).to_have_text("Needs help", timeout=15_000)
    expect(guest.locator("#standing")).to_contain_text("Copy the server URL below once more")


def test_a_new_key_is_asked_for_in_a_dialog(portal, ada, visitor, echo):
    open_event(portal, "New key", echo)
    [code] = cards(ada, "New key", ["Ada"])
    guest = visitor()
    guest.goto(f"/claim#{code}")
    guest.get_by_role("button", name="Open my page").click()
    old = key_on(guest)
    guest.get_by_role("link", name="New key …").click()
    dialog = guest.get_by_role("dialog", name="Create a new key?")
    dialog.get_by_role("button", name="Create a new key").click()
    expect(guest.locator("#key")).not_to_have_text(old)
    comes_to("ok", lambda: fares(portal, key_on(guest), echo))
    comes_to("401 invalid_api_key", lambda: fares(portal, old, echo))


def test_copy_works_where_the_browser_has_no_clipboard(portal, ada, visitor, echo):
    """As on plain http, but for this machine itself."""
    open_event(portal, "Copied", echo)
    [code] = cards(ada, "Copied", ["Ada"])
    guest = visitor()
    guest.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reader = guest.context.new_page()
    guest.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    guest.goto(f"/claim#{code}")
    guest.get_by_role("button", name="Open my page").click()
    guest.get_by_role("button", name="Copy").first.click()
    expect(guest.get_by_role("button", name="Copied")).to_be_focused()
    reader.goto("/")
    assert reader.evaluate("navigator.clipboard.readText()") == key_on(guest), "out of a part that is folded away"


def test_signing_out_elsewhere_closes_the_page(portal, ada, visitor, echo):
    open_event(portal, "Left", echo)
    [code] = cards(ada, "Left", ["Ada"])
    pages = []
    for _ in range(2):
        page = visitor()
        page.goto(f"/claim#{code}")
        page.get_by_role("button", name="Open my page").click()
        expect(standing(page)).to_be_visible()
        pages.append(page)
    here, there = pages
    here.reload()
    here.get_by_role("link", name="Sign out everywhere …").click()
    here.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    expect(here.get_by_role("heading", name="Open your page with a card")).to_be_visible()
    expect(there.get_by_role("heading", name="Open your page with a card")).to_be_visible(timeout=15_000)
    assert "aik_" not in there.content()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_tool_is_called_from_the_page_and_counted(portal, ada, visitor, echo, scripts):
    event = f"Tried {scripts}"
    open_event(portal, event, echo, daily_request_cap=2)
    [code] = cards(ada, event, ["Ada"])
    guest = visitor(java_script_enabled=scripts)
    guest.goto(f"/claim#{code}")
    if not scripts:
        guest.get_by_label("Card code").fill(code)
    guest.get_by_role("button", name="Open my page").click()
    comes_to("ok", lambda: fares(portal, key_on(guest), echo))
    guest.get_by_role("link", name="Try it here").click()
    form = guest.locator("details", has=guest.get_by_text("echo", exact=True))
    form.locator("summary").click()
    form.get_by_role("button", name="Call echo").click()
    expect(form.locator(".problem")).to_have_text("message is required.")
    for said in ["Hällo <b>☕</b>", "once more"]:
        form.get_by_label("message").fill(said)
        form.get_by_role("button", name="Call echo").click()
        expect(guest.locator("#outcome.done pre")).to_have_text(said)
    form.get_by_role("button", name="Call echo").click()
    expect(guest.locator("#outcome.failed")).to_contain_text("daily_cap_reached")
    guest.get_by_role("link", name=event).click()
    comes_to("Cap reached", lambda: [guest.reload(), standing(guest).inner_text()][1], seconds=15)


def test_the_hours_of_an_event_are_said_by_ones_own_clock_where_that_differs(portal, ada, visitor):
    open_event(portal, "Hours", time_zone="Europe/Berlin")
    path = f"/event/{event_id(ada, 'Hours')}"
    for zone, is_said in [("Asia/Tokyo", True), ("Europe/Berlin", False), ("Europe/Madrid", False)]:
        page = visitor(timezone_id=zone)
        page.goto(path)
        expect(page.locator(".yours")).to_have_text(re.compile("your time$") if is_said else "")
