"""The pages that the documentation shows, on the day of a workshop.

With AI_PROXY_SCREENSHOTS set their pictures are written to docs/img, else to a temporary folder.
"""

import io
import os
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from clock import starting_at
from demo import Demo
from PIL import Image
from places import PLACES
from playwright.sync_api import expect
from portal import ADA, Portal
from programs import HERE, ROOT, Server, environment

MORNING = "2026-06-09 07:02:00"
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}}
DARK = {"color_scheme": "dark"}
PICTURES = [
    ("home", "home", DESK),
    ("resources", "resources", DESK),
    ("resource", "resource-tested", DESK | {"viewport": {"width": 1280, "height": 1000}}),
    ("events", "events", DESK),
    ("event", "event", DESK | {"viewport": {"width": 1280, "height": 1000}}),
    ("attendees", "attendees", DESK),
    ("cards", "cards", DESK),
    ("person", "person", DESK | {"viewport": {"width": 1280, "height": 1000}}),
    ("room", "room", DESK | {"viewport": {"width": 1280, "height": 900}}),
    ("room-dark", "room", DESK | DARK | {"viewport": {"width": 1280, "height": 900}}),
    ("room-phone", "room", PHONE),
    ("preflight", "preflight", DESK | {"viewport": {"width": 1280, "height": 1250}}),
    ("metrics", "metrics", DESK | {"viewport": {"width": 1280, "height": 1000}}),
]
BYTES = 80_000


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory):
    """The portal in the morning of the day, after half an hour of calls that took seconds."""
    data = tmp_path_factory.mktemp("data")
    servers = HERE / "servers"
    with (
        Server("weather", "fastmcp4", servers / "weather.py") as weather,
        Server("documents", "fastmcp4", servers / "documents.py") as documents,
    ):
        with Portal(data, env=environment(**starting_at(MORNING, speed=150))) as fast:
            demo = Demo(fast, weather, documents, datetime(2026, 6, 9, 10), "Europe/Berlin", **starting_at(MORNING))
            demo.calls(60, seconds=12)
            said = httpx.get(f"{fast.origin}/healthz", trust_env=False).headers["date"]
            later = f"{parsedate_to_datetime(said):%Y-%m-%d %H:%M:%S}"
        with Portal(data, env=environment(**starting_at(later))) as steady:
            # Its clock goes on, its owners stay signed in; but what they showed is hours old.
            steady.signed_in = fast.signed_in
            steady.confirm(fast.signed_in(ADA))
            demo.portal, demo.ada = steady, steady.client(ADA)
            demo.preflight()
            demo.calls(1)
            yield demo


@pytest.fixture(scope="module")
def portal(day: Demo) -> Portal:
    return day.portal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = ROOT / "docs/img" if os.environ.get("AI_PROXY_SCREENSHOTS") else tmp_path_factory.mktemp("img")
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(("name", "place", "options"), PICTURES, ids=[name for name, *_ in PICTURES])
def test_a_picture_for_the_documentation(visitor, day: Demo, folder: Path, name: str, place: str, options: dict):
    [place] = [one for one in PLACES if one.name == place]
    session = {"storage_state": day.portal.signed_in(place.who)} if place.who else {}
    page = visitor(**session | options)
    assert place.open(page, day).status == place.status
    expect(page.get_by_label("Your password")).to_have_count(0)
    if name == "resource":
        page.locator("#outcome").scroll_into_view_if_needed()
    page.evaluate("document.activeElement.blur()")
    picture = Image.open(io.BytesIO(page.screenshot(scale="css", animations="disabled")))
    file = folder / f"{name}.png"
    # A page has few colours: a palette of them makes a third of the file.
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, optimize=True)
    assert file.stat().st_size < BYTES
