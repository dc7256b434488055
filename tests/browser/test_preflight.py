"""The evening before: an organiser tries an event's servers, and nobody else notices."""

import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from journeys import changes, open_event, tool_call, visit
from playwright.sync_api import Locator, Page, expect
from programs import HERE, SECONDS, Server
from proxy import issue

PATIENCE = SECONDS * 1_000


@pytest.fixture(scope="module")
def slow() -> Iterator[Server]:
    """A server whose tools wait until they are told to go on."""
    with Server("slow", "fastmcp3", HERE / "servers/handshake.py") as server:
        yield server


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port that is taken, so that nobody else begins to listen there, and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def choose(page: Page, deployment: str, tool: str, arguments: str) -> None:
    """Names the tool of a server that is to be called, too."""
    tools = page.get_by_role("group", name=deployment, exact=True)
    if not tools.is_visible():
        page.get_by_text("Call a tool, too").click()
    tools.get_by_label(f"Tool of {deployment}").fill(tool)
    tools.get_by_label("Arguments, as a JSON object").fill(arguments)


def begin(page: Page) -> None:
    page.get_by_role("button", name="Run the pre-flight").click()


def finished(page: Page, scripts: bool) -> None:
    """Waits for the end of the run: it shows by itself, or somebody without scripts looks again."""
    ended = page.get_by_role("heading", name="Last run")
    deadline = time.monotonic() + SECONDS
    while not scripts and not ended.is_visible():
        assert time.monotonic() < deadline, page.locator("#board").inner_text()
        page.get_by_role("link", name="Look again").click()
    expect(ended).to_be_visible(timeout=PATIENCE)


def step(page: Page, lane: str, what: str) -> Locator:
    """A row of the board, in the part headed so."""
    head = page.locator("#board h3").filter(has_text=re.compile(f"^{re.escape(lane)}\\b"))
    rows = head.locator("xpath=following-sibling::div[1]//tbody/tr")
    return rows.filter(has=page.get_by_role("rowheader", name=what, exact=True))


def found(page: Page, lane: str, what: str) -> tuple[str, str, str]:
    """How a step stands, the time it took, and what was found."""
    mark, took, said = step(page, lane, what).get_by_role("cell").all_inner_texts()
    return mark.strip(), took.strip(), said.strip()


def test_the_board_tells_a_healthy_server_from_those_in_trouble(portal, organiser, echo, closed_port, request):
    event, scripts = f"Tomorrow {request.node.callspec.id}", request.node.callspec.id == "scripts"
    others = {
        "wrong-key": echo.resource(key="not-the-key"),
        "down": {"endpoint": f"http://127.0.0.1:{closed_port}/mcp", "key": "any"},
    }
    open_event(portal, event, echo, others=others, start="2099-01-01T09:00", end="2099-01-02T09:00")
    issue(portal.data, 1, event)
    visit(organiser, event, "Pre-flight")
    expect(organiser.get_by_text("Not run yet")).to_be_visible()
    choose(organiser, echo.name, "echo", '{"message": "hello <b>"}')
    begin(organiser)
    finished(organiser, scripts)

    mark, took, said = found(organiser, echo.name, "Open")
    assert mark == "good" and re.fullmatch(r"\d+ ms", took) and re.match(r"Demo MCP Server .*MCP 20\d\d-\d\d-\d\d$", said)
    assert found(organiser, echo.name, "List the tools")[::2] == ("good", "2 tools")
    assert found(organiser, echo.name, "Call echo")[::2] == ("good", "“hello <b>”")
    assert found(organiser, echo.name, "Leave")[0] == "good"
    expect(organiser.get_by_text("Tools: echo, get_current_utc_time")).to_be_visible()
    assert found(organiser, "wrong-key", "Open")[::2] == (
        "failed",
        "401 from backend: it does not accept the key registered for this resource, "
        "which was sent in the header api-key",
    )
    assert found(organiser, "down", "Open")[::2] == (
        "failed",
        f"127.0.0.1:{closed_port} refused the connection: is the MCP server running, and on this port? "
        "(attendees get 503 backend_unreachable)",
    )
    for lane in ["wrong-key", "down"]:
        assert found(organiser, lane, "List the tools") == ("skipped", "", "")
        assert found(organiser, lane, "Leave") == ("skipped", "", "")
    mark, _, said = found(organiser, "The event", "Open at its start")
    assert mark == "good" and said.startswith("opens by itself at 2099-01-01 09:00 (UTC), ")
    assert found(organiser, "The event", "Resources")[::2] == ("good", "3 of 3 can be called")
    assert found(organiser, "The event", "Attendees")[::2] == ("good", "1 person has a key")
    expect(organiser.locator("#outcome")).to_contain_text("2 failed")
    assert "not-the-key" not in organiser.content()

    # What was tried is there to be tried again.
    organiser.get_by_text("Call a tool, too").click()
    tried = organiser.get_by_role("group", name=echo.name, exact=True)
    expect(tried.get_by_label(f"Tool of {echo.name}")).to_have_value("echo")
    expect(tried.get_by_label("Arguments, as a JSON object")).to_have_value('{\n  "message": "hello <b>"\n}')
    assert changes(organiser)[0] == f"ran the pre-flight of {event}, calling echo of {echo.name}"


def test_progress_shows_while_it_runs(portal, organiser, slow, request):
    event, scripts = f"Slow {request.node.callspec.id}", request.node.callspec.id == "scripts"
    token = event.replace(" ", "-")
    open_event(portal, event, slow)
    visit(organiser, event, "Pre-flight")
    choose(organiser, slow.name, "steps", f'{{"token": "{token}", "count": 1}}')
    begin(organiser)
    expect(organiser.get_by_role("status").filter(has_text="The pre-flight is running.")).to_be_visible()
    if scripts:
        organiser.evaluate("window.stayed = true")
    deadline = time.monotonic() + SECONDS
    while not scripts and found(organiser, slow.name, "Call steps")[0] != "running":
        assert time.monotonic() < deadline
        organiser.get_by_role("link", name="Look again").click()
    expect(step(organiser, slow.name, "Call steps")).to_contain_text("running")
    mark, took, said = found(organiser, slow.name, "Open")
    assert mark == "good" and re.fullmatch(r"\d+ ms", took) and said.startswith("Handshake era ")
    assert found(organiser, slow.name, "Leave") == ("waiting", "", "")
    expect(organiser.locator("#outcome")).to_contain_text(re.compile(r"[2-9] steps to go"))
    httpx.post(f"{slow.control}/give/{token}/1", trust_env=False).raise_for_status()
    finished(organiser, scripts)
    assert found(organiser, slow.name, "Call steps")[::2] == ("good", "“1 steps”")
    assert found(organiser, slow.name, "Leave")[0] == "good"
    if scripts:
        assert organiser.evaluate("window.stayed"), "the page was not loaded again"


def test_a_second_run_waits_for_the_first(portal, ada, slow):
    open_event(portal, "Twice", slow)
    visit(ada, "Twice", "Pre-flight")
    choose(ada, slow.name, "steps", '{"token": "twice", "count": 1}')
    begin(ada)
    expect(step(ada, slow.name, "Call steps")).to_contain_text("running")
    begin(ada)
    told = "Nothing was started: a pre-flight of this event is running already."
    expect(ada.get_by_role("status").filter(has_text=told)).to_be_visible()
    httpx.post(f"{slow.control}/give/twice/1", trust_env=False).raise_for_status()
    finished(ada, scripts=True)
    assert found(ada, slow.name, "Call steps")[0] == "good"


@pytest.mark.parametrize(
    "tool, arguments, field, problem",
    [
        ("echo", '{"message":', "Arguments, as a JSON object", "Arguments are not JSON: line 1, column 11."),
        ("echo", '["hello"]', "Arguments, as a JSON object", "Arguments must be one JSON object"),
        ("", '{"message": "hi"}', "Tool of mcp-demo", "Tool is needed where there are arguments."),
    ],
)
def test_what_cannot_be_sent_is_said_beside_its_field_and_kept(portal, organiser, echo, tool, arguments, field, problem):
    event = f"Torn {tool or 'none'} {len(arguments)}"
    open_event(portal, event, echo)
    visit(organiser, event, "Pre-flight")
    choose(organiser, echo.name, tool, arguments)
    begin(organiser)
    expect(organiser.get_by_role("alert")).to_have_text("Nothing was started: one tool needs another look.")
    tried = organiser.get_by_role("group", name=echo.name, exact=True)
    wrong = tried.get_by_label(field)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_have_accessible_description(re.compile(re.escape(problem)))
    expect(wrong).to_be_focused()
    expect(tried.get_by_label(f"Tool of {echo.name}")).to_have_value(tool)
    expect(tried.get_by_label("Arguments, as a JSON object")).to_have_value(arguments)
    expect(organiser.get_by_text("Not run yet")).to_be_visible()


def test_its_calls_are_in_no_figures_and_use_nobodys_cap(portal, room_with_demo, ada, echo):
    event, [key] = room_with_demo("Unseen", daily_request_cap=1)
    visit(ada, event, "Metrics")
    for _ in range(2):
        visit(ada, event, "Pre-flight")
        choose(ada, echo.name, "echo", '{"message": "hi"}')
        begin(ada)
        finished(ada, scripts=True)
        assert found(ada, echo.name, "Call echo")[::2] == ("good", "“hi”")
    assert tool_call(portal, key, echo) == "ok"
    assert tool_call(portal, key, echo) == "429 daily_cap_reached"
    # Written once a second, in the order of the calls: what is there last brings along what was before.
    visit(ada, event, "Metrics")
    echoes = ada.locator("#by-operation tbody tr").filter(has_text="echo")
    deadline = time.monotonic() + SECONDS
    while not echoes.count():
        assert time.monotonic() < deadline
        ada.reload()
    assert echoes.get_by_role("cell").all_inner_texts()[1] == "1"
    assert ada.locator("#by-attendee tbody tr").count() == 1
    visit(ada, event, "Attendees")
    expect(ada.get_by_text("preflight")).to_have_count(0)
