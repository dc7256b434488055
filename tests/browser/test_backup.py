"""Backup: everything comes back after the worst, from our own files and from those of azure-ai-proxy-lite."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from journeys import admitted, changes, comes_to, fares, open_event, reach, told
from playwright.sync_api import Browser, Page, expect
from portal import ADA, Portal
from proxy import ai_proxy, issue
from watch import Watch

PASSPHRASE = "seven sealed envelopes"
SEALED = "File does not open: the passphrase is another one, or the file is damaged."


@contextmanager
def administrator(chromium: Browser, portal: Portal, scripts: bool) -> Iterator[Page]:
    """A page of the administrator's of this proxy."""
    options = {"storage_state": portal.signed_in(ADA), "java_script_enabled": scripts}
    context = chromium.new_context(base_url=portal.origin, locale="en-GB", **options)
    context.set_default_timeout(15_000)
    watch = Watch(context, portal.origin)
    yield context.new_page()
    context.close()
    assert watch.complaints == []


def fill_in(page: Page, passphrase: str, again: str) -> None:
    page.get_by_label("Passphrase", exact=True).fill(passphrase)
    page.get_by_label("Passphrase once more").fill(again)


def download(page: Page, to: Path) -> bytes:
    page.goto("/admin/backup")
    fill_in(page, PASSPHRASE, PASSPHRASE)
    with page.expect_download() as file:
        page.get_by_role("button", name="Download").click()
    assert file.value.suggested_filename.startswith("ai-proxy-ada-20")
    file.value.save_as(to)
    return to.read_bytes()


def look(page: Page, file: Path, passphrase: str = PASSPHRASE) -> None:
    """Uploads it, so that the next page says what would be restored, or why nothing could."""
    page.goto("/admin/backup")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Passphrase of the file").fill(passphrase)
    page.get_by_role("button", name="Look into the file").click()


def has_nothing(page: Page) -> None:
    page.goto("/admin/events")
    expect(page.get_by_text("No events yet")).to_be_visible()
    page.goto("/admin/resources")
    expect(page.get_by_text("No resources yet")).to_be_visible()


@pytest.mark.parametrize("same_key", [True, False], ids=["same-key", "another-key"])
def test_after_a_wipe_the_keys_that_were_handed_out_work_again(
    chromium, tmp_path, echo, fastmcp, scripts, same_key
):
    data, file = tmp_path / "data", tmp_path / "ai-proxy.backup"
    data.mkdir()
    with Portal(data) as before, administrator(chromium, before, scripts) as page:
        open_event(before, "Spring school", echo, daily_request_cap=77)
        keys = admitted(before, "Spring school", echo, 2)
        assert fastmcp.do("tools", reach(before, keys[0], echo), message="hi")["echo"] == "hi"
        sealed = download(page, file)
        for secret in [echo.key, *keys, "Spring school"]:
            assert secret.encode() not in sealed
        [first, *_] = changes(page)
        assert first.startswith("backed up events: 1, attendees: 2")
        master = (data / "master.key").read_bytes()

    shutil.rmtree(data)
    data.mkdir()
    if same_key:
        (data / "master.key").write_bytes(master)
        (data / "master.key").chmod(0o600)
    with Portal(data) as after, administrator(chromium, after, scripts) as page:
        has_nothing(page)
        assert fares(after, keys[0], echo) == "401 invalid_api_key"
        look(page, file)
        expect(page.get_by_role("heading", level=1)).to_have_text("Restore")
        expect(page.get_by_text("It holds 1 event, 1 resource, 2 attendees and")).to_be_visible()
        expect(page.get_by_role("row", name="Spring school")).to_contain_text("keeps")
        expect(page.get_by_role("row", name=echo.name)).to_contain_text("will be made")
        preview = page.url
        has_nothing(page)
        page.goto(preview)
        page.get_by_role("button", name="Restore").click()
        told(page, "Restored: 1 event, 1 new resource, 2 attendees, ")
        for key in keys:
            comes_to("ok", lambda key=key: fares(after, key, echo))
            assert fastmcp.do("tools", reach(after, key, echo), message="hi")["echo"] == "hi"
        assert page.goto(preview).status == 404, "it is restored once"
        page.goto("/admin/events")
        page.get_by_role("link", name="Spring school", exact=True).first.click()
        expect(page.get_by_label("Daily request cap")).to_have_value("77")
        [first, *_] = changes(page)
        assert first.startswith("restored events: 1, new resources: 1")
        for secret in [echo.key, *keys, PASSPHRASE]:
            assert secret not in page.content()


def test_what_is_typed_wrong_downloads_nothing(portal, visitor, scripts):
    page = visitor(storage_state=portal.signed_in(ADA), java_script_enabled=scripts)
    page.goto("/admin/backup")
    for typed, problem in [
        (("elevenchars", "elevenchars"), "Passphrase must have at least 12 characters."),
        ((PASSPHRASE, PASSPHRASE + "s"), "Passphrase once more is another one."),
    ]:
        fill_in(page, *typed)
        page.get_by_role("button", name="Download").click()
        expect(page.get_by_text(problem)).to_be_visible()
        for label in ["Passphrase", "Passphrase once more"]:
            expect(page.get_by_label(label, exact=True)).to_have_value("")
    assert not any(change.startswith("backed up") for change in changes(page))


def test_a_file_that_does_not_open_restores_nothing(portal, visitor, tmp_path, scripts):
    name = f"grace {scripts}"
    ada = visitor(storage_state=portal.signed_in(ADA))
    sealed = download(ada, tmp_path / "good.backup")
    damaged, cut, other = (tmp_path / name for name in ["damaged.backup", "cut.backup", "notes.txt"])
    damaged.write_bytes(sealed[:-40] + bytes([sealed[-40] ^ 1]) + sealed[-39:])
    cut.write_bytes(sealed[:-1])
    other.write_text("Remember the milk.")
    page = visitor(storage_state=portal.signed_in(name), java_script_enabled=scripts)
    for file, passphrase, problem in [
        (tmp_path / "good.backup", "another passphrase", SEALED),
        (tmp_path / "good.backup", "short", SEALED),
        (damaged, PASSPHRASE, SEALED),
        (cut, PASSPHRASE, SEALED),
        (other, PASSPHRASE, "File is no backup"),
    ]:
        look(page, file, passphrase)
        expect(page.get_by_text(problem)).to_be_visible()
        expect(page.get_by_label("Passphrase of the file")).to_have_value("")
    has_nothing(page)
    assert not any(change.startswith("restored") for change in changes(page))


def lite(content: dict, passphrase: str = PASSPHRASE) -> bytes:
    """A backup as azure-ai-proxy-lite makes it: version, salt, nonce, tag, what is sealed."""
    salt, nonce = os.urandom(16), os.urandom(12)
    key = PBKDF2HMAC(SHA256(), 32, salt, 600_000).derive(passphrase.encode())
    sealed = AESGCM(key).encrypt(nonce, json.dumps(content).encode(), None)
    return b"\x01" + salt + nonce + sealed[-16:] + sealed[:-16]


def lite_event(number: int, name: str, start: str, end: str, zone: str, **more: object) -> dict:
    return {
        "eventId": f"1a2b-000{number}", "ownerId": "someone", "eventCode": name, "eventSharedCode": None,
        "eventMarkdown": "# Welcome", "startTimestamp": start, "endTimestamp": end, "timeZoneOffset": 0,
        "timeZoneLabel": zone, "organizerName": "Ada", "organizerEmail": "ada@example.org", "maxTokenCap": 2048,
        "dailyRequestCap": 100, "active": True, "catalogIds": "c-1,c-2",
    } | more


def in_minutes(minutes: int, zone: str) -> str:
    """What a clock in that zone shows then."""
    return f"{datetime.now(ZoneInfo(zone)) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}"


def lite_content(server) -> tuple[dict, Callable[[int], str]]:
    """Four events, one attendee in each, and their keys."""
    def key(number: int) -> str:
        return f"0f8fad5b-d9cb-469f-a165-70867728950{number}"

    summer, far = "2020-03-28T09:00:00", "2098-07-01T18:00:00"
    events = [
        lite_event(1, "Summer time", summer, far, "Europe/Berlin", eventSharedCode="spring2026"),
        lite_event(2, "Just begun", in_minutes(-30, "America/New_York"), far, "Eastern Standard Time"),
        lite_event(3, "Soon", in_minutes(30, "Asia/Tokyo"), far, "Asia/Tokyo"),
        lite_event(4, "Switched off", summer, far, "UTC", active=False),
    ]
    resource = {
        "ownerId": "someone", "active": True, "location": "westeurope", "useMaxCompletionTokens": False,
        "useManagedIdentity": False,
    }
    resources = [
        resource | {
            "catalogId": "c-1", "deploymentName": server.name, "endpointUrl": f"{server.origin}/mcp",
            "endpointKey": server.key, "modelType": "mcp-server", "friendlyName": "The demo",
        },
        resource | {
            "catalogId": "c-2", "deploymentName": "gpt-5", "endpointUrl": "https://models.example.org/",
            "endpointKey": "", "modelType": "foundry-model", "friendlyName": "A model", "useManagedIdentity": True,
        },
    ]
    attendees = [
        {"eventId": event["eventId"], "userId": f"github-{number}", "apiKey": key(number), "active": True}
        for number, event in enumerate(events, 1)
    ]
    attendees.append({"eventId": "1a2b-0001", "userId": "away", "apiKey": key(5), "active": False})
    metric = {
        "eventId": "1a2b-0001", "resource": f"mcp-server | {server.name}", "dateStamp": "2026-04-30",
        "promptTokens": 10, "completionTokens": 20, "totalTokens": 30, "requestCount": 12,
    }
    content = {"backupTimestamp": "2026-05-01T08:30:00.1234567Z", "events": events, "resources": resources}
    return content | {"metrics": [metric], "attendees": attendees}, key


def test_a_file_of_azure_ai_proxy_lite_comes_over_with_its_people(chromium, tmp_path, echo, fastmcp, scripts):
    data, file = tmp_path / "data", tmp_path / "lite.backup"
    data.mkdir()
    content, key = lite_content(echo)
    file.write_bytes(lite(content))
    with Portal(data) as portal, administrator(chromium, portal, scripts) as page:
        look(page, file, "another passphrase")
        expect(page.get_by_text(SEALED)).to_be_visible()
        look(page, file)
        expect(page.get_by_text("From “azure-ai-proxy-lite”")).to_be_visible()
        expect(page.get_by_text("It holds 4 events, 2 resources, 5 attendees and 1 row of figures")).to_be_visible()
        expect(page.get_by_text("Resource “gpt-5” used a managed identity")).to_be_visible()
        expect(page.get_by_role("row", name="Summer time")).to_contain_text(
            "2020-03-28 09:00 – 2098-07-01 18:00, Europe/Berlin"
        )
        page.get_by_role("button", name="Restore").click()
        told(page, "Restored: 4 events, 2 new resources, 5 attendees, 1 row of figures.")

        comes_to("ok", lambda: fares(portal, key(1), echo))
        assert fastmcp.do("tools", reach(portal, key(1), echo), message="hi")["echo"] == "hi"
        assert fares(portal, key(2), echo) == "ok"
        assert fares(portal, key(3), echo) == "401 event_not_started"
        assert fares(portal, key(4), echo) == "401 event_inactive"
        assert fares(portal, key(5), echo) == "401 attendee_disabled"
        assert fares(portal, "1a2b-0001@spring2026/grace.hopper", echo) == "ok"

        listed = json.loads(ai_proxy(data, "event", "list", "--json"))
        [summer] = [event for event in listed if event["name"] == "Summer time"]
        assert (summer["starts_at"], summer["ends_at"]) == ("2020-03-28T08:00:00Z", "2098-07-01T16:00:00Z")
        page.goto("/admin/events/1a2b-0001")
        expect(page.get_by_label("Start")).to_have_value("2020-03-28T09:00")
        expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
        page.goto("/admin/events/1a2b-0002")
        expect(page.get_by_label("Time zone")).to_have_value("America/New_York")
        page.goto("/admin/resources")
        expect(page.get_by_role("row", name="The demo")).to_contain_text(echo.name)
        page.goto("/admin/events/1a2b-0001/attendees")
        expect(page.get_by_role("rowheader")).to_have_count(3)
        assert issue(data, 1, "Summer time")
