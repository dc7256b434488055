"""What many journeys have in common: a workshop that is there already, calls by attendees, deadlines."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect
from portal import Portal
from programs import HERE, SECONDS, Client, Reach, Server, python
from proxy import apply, issue, toml, workshop
from wire import ACCEPT, call, http, initialize

IN_FORCE = 2.0
"""Seconds until a change of the portal's holds everywhere."""


def fastmcp_client() -> Client:
    return Client("fastmcp4", [python("fastmcp4"), str(HERE / "python/fastmcp_client.py")])


def open_event(
    portal: Portal, name: str, *servers: Server, others: dict[str, dict[str, str]] | None = None, **fields: object
) -> None:
    """An event of the administrator's that is open, with these servers under their own names and other resources."""
    resources = {server.name: server.resource() for server in servers} | (others or {})
    text = workshop(resources).rpartition("[[event]]")[0]
    now = time.time()
    event = {
        "name": name,
        "description": "# Welcome",
        "organizer_name": "Ada",
        "organizer_email": "ada@example.org",
        "start": _wall_clock(now - 86_400),
        "end": _wall_clock(now + 86_400),
        "time_zone": "UTC",
        "resources": list(resources),
    }
    apply(portal.data, text + toml("event", **event | fields))


def _wall_clock(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M", time.gmtime(at))


def visit(page: Page, event: str, tab: str) -> None:
    """Goes to one of an event's pages, as an organiser finds it."""
    page.goto("/admin/events")
    page.get_by_role("link", name=event, exact=True).first.click()
    page.get_by_role("navigation", name="This event").get_by_role("link", name=tab, exact=True).click()
    current = page.get_by_role("navigation", name="This event").locator("[aria-current=page]")
    expect(current).to_have_text(tab)


def event_id(page: Page, event: str) -> str:
    page.goto("/admin/events")
    page.get_by_role("link", name=event, exact=True).first.click()
    page.wait_for_url(re.compile("/admin/events/[0-9a-f]{4}-[0-9a-f]{4}$"))
    return page.url.rsplit("/", 1)[1]


def comes_to_show(shown: Locator, text: str) -> None:
    """Loads the page again until it says so: figures are written once a second."""
    def said() -> str:
        shown.page.reload()
        whole = shown.inner_text()
        return text if text in whole else whole

    comes_to(text, said, seconds=SECONDS)


def told(page: Page, text: str) -> None:
    """Waits for the page that says that this was done."""
    expect(page.get_by_role("main").get_by_role("status").filter(has_text=text)).to_be_visible()


def reach(portal: Portal, key: str, server: Server) -> Reach:
    """The way of an attendee's client to a server."""
    return Reach(None, url(portal, server.name), {"api-key": key})


def url(portal: Portal, deployment: str) -> str:
    return f"{portal.api}/mcp/{deployment}/mcp"


def fares(portal: Portal, key: str, server: Server) -> str:
    """What becomes of a call with this key: `ok`, `cut` while it was under way, or the refusal's status and code."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    try:
        answer = httpx.post(
            url(portal, server.name),
            json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params},
            headers={"api-key": key, "accept": ACCEPT},
            trust_env=False,
            timeout=SECONDS,
        )
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return "cut"
    return outcome(answer)


def outcome(answer: httpx.Response) -> str:
    return "ok" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['error']['data']['code']}"


def admitted(portal: Portal, event: str, server: Server, count: int = 1) -> list[str]:
    """New attendees' keys, once the proxy lets the last of them in: it may have yet to hear of the event."""
    keys = issue(portal.data, count, event)
    comes_to("ok", lambda: fares(portal, keys[-1], server))
    return keys


def tool_call(portal: Portal, key: str, server: Server) -> str:
    """What becomes of a tool call, which takes one request of the cap."""
    way = reach(portal, key, server)
    with http(way) as client:
        answer = call(client, way.url, initialize(client, way.url), "echo", message="hi")
    return outcome(answer)


def changes(page: Page) -> list[str]:
    """What the audit trail tells, the newest first: each as the action and what it says of it."""
    page.goto("/admin/audit")
    return page.get_by_role("row").locator("td:nth-child(3)").all_inner_texts()


def comes_to(expected: Any, ask: Callable[[], Any], *, since: float | None = None, seconds: float = IN_FORCE) -> None:
    """Asks until the answer is the expected one; fails at the deadline, counted from `since` or from now."""
    since = since or time.monotonic()
    while (answer := ask()) != expected:
        assert time.monotonic() < since + seconds, f"{answer} instead of {expected}, {seconds:g} s later"
        time.sleep(0.02)
    assert time.monotonic() < since + seconds, f"{expected} took longer than {seconds:g} s"
