"""What holds for every page, whatever it shows."""

import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from demo import Demo
from keys import stops
from places import PLACES, Place
from playwright.sync_api import Page, Response, expect
from programs import HERE, ROOT, Server

AXE = (Path(__file__).parent / "axe/node_modules/axe-core/axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK = (Path(__file__).parent / "look.js").read_text()
PHONES = [320, 390, 760]
WIDTHS = [*PHONES, 1024, 1200, 1920]
BYTES = 50_000
BYTES_WITH_ASSETS = 80_000
ELSEWHERE = {
    "/assets/{name}": "the sheet and the script, which every page brings",
    "/.well-known/oauth-authorization-server": "for programs",
    "/.well-known/oauth-protected-resource": "for programs",
    "/.well-known/oauth-protected-resource/{*path}": "for programs",
    "/admin/sign-in/entra": "sends the browser to Microsoft",
    "/event/{id}/github": "sends the browser to GitHub",
    "/github/callback": "where GitHub sends it back",
    "/admin/confirm": "sends the browser to Microsoft",
    "/admin/setup/{token}/entra": "sends the browser to Microsoft",
    "/admin/sign-in/entra/callback": "where Microsoft sends it back",
    "/admin/events/{id}/metrics/{table}": "a file",
    "/admin/reports/events.csv": "a file",
    "/event/{id}/env": "a file",
    "/event/{id}/mcp.json": "a file",
    "/event/{id}/live": "a part of a page, for its script",
}

every_page = pytest.mark.parametrize("place", PLACES, ids=[place.name for place in PLACES])


@pytest.fixture(scope="module")
def demo(portal) -> Demo:
    servers = HERE / "servers"
    with (
        Server("weather", "fastmcp4", servers / "weather.py") as weather,
        Server("documents", "fastmcp4", servers / "documents.py") as documents,
    ):
        demo = Demo(portal, weather, documents, datetime.now(timezone.utc), "UTC")
        demo.furnish()
        demo.preflight()
        demo.calls(6)
        demo.guests()
        demo.damage()
        demo.guesses()
        demo.strangers()
        yield demo


@pytest.fixture
def come(visitor: Callable[..., Page], portal, demo: Demo) -> Callable[..., tuple[Page, Response]]:
    """Opens a place as its visitor, in a browser with these options."""

    def open_it(place: Place, **options) -> tuple[Page, Response]:
        session = {"storage_state": portal.signed_in(place.who)} if place.who else {}
        page = visitor(**session | options)
        answer = place.open(page, demo)
        assert answer.status == place.status
        expect(page.locator("h1")).to_have_count(1)
        return page, answer

    return open_it


def test_no_page_is_left_out():
    listed = (ROOT / "tests/portal/snapshots/portal__routes.snap").read_text().split("---\n")[2]
    routes = [line.split(" ") for line in listed.splitlines()]
    gets = {path for path, method in routes if method == "GET" and not path.startswith("/api/")}
    assert gets == {place.route for place in PLACES if place.status != 404} | set(ELSEWHERE)


def barriers(page: Page) -> list[str]:
    """What axe, which the page has by now, finds wrong."""
    found = page.evaluate("rules => axe.run({ runOnly: rules, resultTypes: ['violations'] })", RULES)
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@every_page
def test_it_has_no_barriers(come, place: Place):
    page, _ = come(place)
    page.evaluate(AXE)
    for scheme in ["light", "dark"]:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert barriers(page) == [], scheme


@every_page
def test_it_is_small_guarded_kept_by_nobody_and_says_what_it_is(come, place: Place):
    page, answer = come(place)
    sources = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert sources.pop("default-src") == "'none'"
    assert set(sources.values()) <= {"'self'", "'none'"}, "no other origin, nothing inline"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.locator("style, [style], script:not([src])").count() == 0
    inline = "all => all.flatMap(one => one.getAttributeNames()).filter(name => name.startsWith('on'))"
    assert page.locator("*").evaluate_all(inline) == []

    bytes_of = {answer.url: len(answer.body())}
    for asset in page.locator("link[rel=stylesheet], script[src]").all():
        path = asset.get_attribute("href") or asset.get_attribute("src")
        bytes_of[path] = len(page.request.get(path).body())
    assert len(bytes_of) == 3
    assert bytes_of[answer.url] < BYTES
    assert sum(bytes_of.values()) < BYTES_WITH_ASSETS

    assert page.locator("html").get_attribute("lang") == "en"
    title, _, product = page.title().rpartition(" · ")
    assert title and product == "AI Proxy"
    assert page.locator("h1").inner_text()
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(one => +one.tagName[1])")
    assert levels[0] == 1 and all(to <= of + 1 for of, to in zip(levels, levels[1:])), levels


@every_page
def test_it_fits_every_screen(come, place: Place):
    page, _ = come(place)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(LOOK) == [], f"{width} px wide"
        bar = page.get_by_role("navigation", name="Sections")
        if bar.count():
            box, is_phone = bar.bounding_box(), width in PHONES
            at_foot = box["y"] + box["height"] == 844 and box["width"] == width and box["height"] < 90
            assert at_foot == is_phone, f"{width} px wide: {box}"
            shown = not is_phone or bar.locator("> ul:not([popover]) > li > :is(a, button)").evaluate_all(
                "(all, width) => all.filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect())"
                ".every(box => box.left >= 0 && box.right <= width)", width)
            assert shown, f"{width} px wide: every section can be seen"


@every_page
def test_it_does_without_scripts(come, place: Place):
    def shown(page: Page) -> dict[str, list[str]]:
        return {
            what: page.locator(f"main {what}:not([data-copy])").all_inner_texts()
            for what in ["h1", "h2", "h3", "th", "label", "button", "a"]
        }


    page, _ = come(place, java_script_enabled=False)
    assert page.locator("main").inner_text().strip()
    for form in page.locator("form").all():
        assert form.get_attribute("method") in ("get", "post")
        assert urlsplit(form.evaluate("form => form.action")).netloc == urlsplit(page.url).netloc
        assert form.locator("button:not([type=button])").count() >= 1
    with_scripts, _ = come(place)
    assert shown(page) == shown(with_scripts)


@every_page
def test_tab_goes_through_all_of_it(come, place: Place):
    # On a phone, where the bar at the foot may cover what has the focus.
    page, _ = come(place, viewport={"width": 390, "height": 844})
    begins_elsewhere = page.locator("[autofocus]").count() > 0
    count, found = stops(page)
    assert [stop for stop in found if not stop.is_marked] == []
    assert [stop for stop in found if not stop.is_seen] == []
    numbers = [stop.number for stop in found if stop.number >= 0]
    first = numbers.index(0)
    assert numbers[first:] + numbers[:first] == list(range(count)), "in the order of the document, and out again"
    skip = page.get_by_role("link", name="Skip to the content")
    if not skip.count():
        return
    assert begins_elsewhere or first == 0
    skip.focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


DIALOGS = ["resources", "events", "attendee", "owners", "tokens"]


@pytest.mark.parametrize("place", [place for place in PLACES if place.name in DIALOGS], ids=lambda place: place.name)
def test_a_dialog_is_left_by_escape_to_where_one_was(come, place: Place):
    page, _ = come(place)
    link = page.locator("a[data-dialog]").first
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name(re.compile(r"\w"))
    assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
    page.evaluate(AXE)
    assert barriers(page) == []
    count = dialog.locator("a, button, input:not([type=hidden])").count()
    for _ in range(count + 2):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_phones_bar_has_the_rest_behind_more(visitor, portal, scripts: bool):
    phone = {"viewport": {"width": 390, "height": 844}, "java_script_enabled": scripts}
    page = visitor(storage_state=portal.signed_in("ada"), **phone)
    page.goto("/admin")
    bar = page.get_by_role("navigation", name="Sections")
    audit, more = bar.get_by_role("link", name="Audit"), bar.get_by_role("button", name="More")
    expect(audit).to_be_hidden()
    more.focus()
    page.keyboard.press("Enter")
    expect(audit).to_be_visible()
    page.keyboard.press("Escape")
    expect(audit).to_be_hidden()
    expect(more).to_be_focused()
    more.click()
    assert page.evaluate(LOOK) == []
    audit.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")
    more.click()
    expect(bar.get_by_role("button", name="Sign out")).to_be_visible()
