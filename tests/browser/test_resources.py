"""A backend's way into the portal: tested before it is saved, linked, called, changed and deleted."""

import http.server
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from journeys import comes_to, told
from playwright.sync_api import Page, expect
from portal import ADA, Portal
from programs import BACKEND_KEY, Reach, Server
from proxy import issue

LONG = "x" * 65


class Plain(http.server.BaseHTTPRequestHandler):
    """A web server that has nothing to do with MCP."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>It works!</h1>")

    do_GET = do_DELETE = do_POST

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(handler: type, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port that is taken, so that nobody else begins to listen there, and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def web_port() -> Iterator[int]:
    with listening(Plain) as port:
        yield port


@pytest.fixture(scope="module")
def self_signed_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with listening(Plain, context) as port:
        yield port


def fill(page: Page, **fields: str) -> None:
    """Types into the form, by the names of its fields."""
    labels = {
        "name": "Friendly name", "deployment": "Deployment name", "endpoint": "Endpoint URL", "key": "Key",
        "region": "Region", "header": "Header name",
    }
    for name, text in fields.items():
        page.get_by_label(labels[name], exact=True).fill(text)


def typed(page: Page) -> dict[str, str]:
    """What stands in the form's fields."""
    return {name: page.locator(f"#{name}").input_value() for name in ["name", "deployment", "endpoint", "auth", "region"]}


def check(page: Page) -> str:
    """What *Test connection* says of what is typed."""
    page.get_by_role("button", name="Test connection").click()
    said = page.locator("#outcome section")
    expect(said).to_be_visible()
    return said.inner_text()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def resource(page: Page, deployment: str, server: Server, **fields: str) -> None:
    """A new resource in front of a server."""
    page.goto("/admin/resources/new")
    fill(page, **{"name": deployment, "deployment": deployment, "endpoint": f"{server.origin}/mcp", "key": server.key} | fields)
    save(page)
    expect(page.get_by_role("status")).to_contain_text("is made")


def event(page: Page, name: str, *resources: str) -> None:
    """A new event that is open and links these resources, by their friendly names."""
    page.goto("/admin/events/new")
    page.get_by_label("Event name").fill(name)
    page.get_by_label("Description", exact=True).fill("# Welcome")
    page.get_by_label("Organiser's name").fill("Ada")
    page.get_by_label("Organiser's e-mail address").fill("ada@example.org")
    page.get_by_label("Start").fill("2020-01-01T09:00")
    page.get_by_label("End", exact=True).fill("2098-12-31T18:00")
    page.get_by_label("Time zone").fill("UTC")
    for one in resources:
        page.get_by_role("checkbox", name=re.compile(rf"^{re.escape(one)} ")).check()
    page.get_by_label("Active", exact=True).check()
    save(page)
    expect(page.get_by_role("status")).to_contain_text(name)


def edit(page: Page, name: str) -> None:
    page.goto("/admin/resources")
    page.get_by_role("link", name=f"Edit {name}", exact=True).click()


def admitted(portal: Portal, event: str, deployment: str) -> Reach:
    """The way of a new attendee to a resource, once the event that was just made is known everywhere."""
    [key] = issue(portal.data, 1, event)
    way = Reach(None, f"{portal.api}/mcp/{deployment}/mcp", {"api-key": key})
    info = lambda: httpx.post(f"{portal.api}/eventinfo", headers=way.headers, trust_env=False).status_code
    comes_to(200, info, since=time.monotonic())
    return way


def test_a_connection_is_tested_before_anything_is_saved(organiser, echo, closed_port, web_port, self_signed_port):
    organiser.goto("/admin/resources/new")
    scripts = organiser.evaluate("() => document.documentElement.classList.contains('js')")

    def says(endpoint: str, key: str = BACKEND_KEY) -> str:
        fill(organiser, endpoint=endpoint, key=key)
        said = check(organiser)
        # Without a script the page is a new one, and no page ever holds a key.
        expect(organiser.get_by_label("Key", exact=True)).to_have_value(key if scripts else "")
        return said

    works = says(f"{echo.origin}/mcp")
    assert "The connection works" in works
    assert re.search(r"Demo MCP Server \S+ speaks MCP \d{4}-\d\d-\d\d\. Connected in \d+ ms, answered in \d+ ms", works)
    assert "2 tools: echo, get_current_utc_time." in works
    assert "Nothing is saved by a test." in works
    for endpoint, key, reason in [
        (f"{echo.origin}/mcp", "wrong", "401 from backend: it does not accept the key registered for this resource, which was sent in the header api-key"),
        (f"{echo.origin}/mcp", "", "401 from backend: it asks for a key and none is registered for this resource"),
        (f"{echo.origin}/api", BACKEND_KEY, "wrong path: nothing speaks MCP at /api, but /mcp does; put /mcp into the endpoint URL"),
        (f"http://127.0.0.1:{closed_port}/mcp", BACKEND_KEY, f"127.0.0.1:{closed_port} refused the connection: is the MCP server running, and on this port?"),
        ("http://no-such-host.invalid/mcp", BACKEND_KEY, "the name no-such-host.invalid cannot be resolved"),
        (f"https://127.0.0.1:{self_signed_port}/mcp", BACKEND_KEY, f"TLS with 127.0.0.1:{self_signed_port} failed"),
        (f"http://127.0.0.1:{web_port}/mcp", BACKEND_KEY, "not an MCP endpoint: it answered 200"),
        ("http://169.254.169.254/mcp", BACKEND_KEY, "the endpoint policy refuses"),
    ]:
        said = says(endpoint, key)
        assert "The connection does not work" in said and reason in said, said

    fill(organiser, endpoint="ftp://somewhere/mcp", key=BACKEND_KEY)
    organiser.get_by_role("button", name="Test connection").click()
    expect(organiser.get_by_text("Endpoint URL must begin with http:// or https://.")).to_be_visible()

    organiser.goto("/admin/resources")
    expect(organiser.get_by_role("link", name="ftp")).to_have_count(0)


def test_from_a_new_resource_to_a_call_and_through_its_changes(portal, organiser, echo, fastmcp, request):
    deployment = f"weather.{request.node.callspec.id}"
    name = f"Weather {request.node.callspec.id}"
    resource(organiser, deployment, echo, name=name)
    event(organiser, f"Day of {name}", name)
    way = admitted(portal, f"Day of {name}", deployment)
    called = lambda: fastmcp.do("tools", way, message="hi")["echo"]
    assert called() == "hi"

    edit(organiser, name)
    assert organiser.get_by_text(f"Stored, ends in …{BACKEND_KEY[-4:]}. Leave empty to keep it.").is_visible()
    expect(organiser.get_by_label("Key", exact=True)).to_have_value("")
    assert BACKEND_KEY not in organiser.content()
    fill(organiser, region="Lab 2")
    save(organiser)
    expect(organiser.get_by_role("status")).to_have_text(f"{name} is changed.")
    assert called() == "hi", "with the key that was kept"

    edit(organiser, name)
    assert "The connection works" in check(organiser), "with the stored key"
    fill(organiser, endpoint="http://somewhere.example.org/mcp", region="Elsewhere")
    organiser.get_by_role("button", name="Test connection").click()
    demand = "must be entered again, because the endpoint is on another"
    expect(organiser.locator("#key-problem")).to_contain_text(demand)
    save(organiser)
    expect(organiser.locator("#key-problem")).to_contain_text(demand)
    expect(organiser.get_by_label("Region")).to_have_value("Elsewhere")
    assert called() == "hi", "nothing was saved"

    edit(organiser, name)
    organiser.get_by_label("Remove the stored key").check()
    save(organiser)
    expect(organiser.get_by_role("status")).to_have_text(f"{name} is changed.")
    edit(organiser, name)
    assert "it asks for a key and none is registered" in check(organiser)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("name", " ", "Friendly name is required."),
        ("name", LONG, "Friendly name has more than 64 characters."),
        ("deployment", " ", "Deployment name is required."),
        ("deployment", "my server", "Deployment name"),
        ("deployment", "..", "Deployment name"),
        ("deployment", LONG, "Deployment name has more than 64 characters."),
        ("deployment", "taken", "Deployment name is that of another resource of yours: choose one of its own."),
        ("endpoint", " ", "Endpoint URL is required."),
        ("endpoint", "ftp://host/mcp", "Endpoint URL must begin with http:// or https://."),
        ("endpoint", "http://me:secret@host/mcp", "Endpoint URL must not hold a user name or password; give the key as the key."),
        ("endpoint", "http://host/mcp#here", "Endpoint URL must not hold a fragment (#…)."),
        ("endpoint", "http://host/" + "x" * 2048, "Endpoint URL has more than 2048 characters."),
        ("endpoint", "http://ho st/mcp", "Endpoint URL holds a space, a backslash or a control character."),
        ("key", "k" * 4097, "Key has more than 4096 characters."),
        ("key", "schlüssel", "Key must be visible ASCII without a space at its ends, or it cannot stand in a header."),
        ("header", "not a header", "Header name"),
        ("header", " ", "Header name is required."),
        ("region", LONG, "Region has more than 64 characters."),
    ],
)
def test_each_rule_is_told_beside_its_field_and_what_was_typed_stays(portal, organiser, echo, field, value, problem):
    if field == "deployment" and value == "taken":
        organiser.goto("/admin/resources")
        if organiser.get_by_role("link", name="Taken", exact=True).count() == 0:
            resource(organiser, "taken", echo, name="Taken")
    organiser.goto("/admin/resources/new")
    good = {"name": "Good", "deployment": "good", "endpoint": "http://host.example.org/mcp", "region": "Lab"}
    if field == "header":
        organiser.get_by_label("Authentication").select_option("header")
    fill(organiser, **good)
    # A browser by itself would stop some of it.
    for attribute in ["maxlength", "required"]:
        organiser.locator(f"#{field}").evaluate("(input, name) => input.removeAttribute(name)", attribute)
    fill(organiser, **{field: value})
    organiser.locator("form.card").evaluate("form => { form.noValidate = true }")
    before = typed(organiser)
    save(organiser)

    expect(organiser.get_by_role("alert")).to_contain_text("Nothing was saved: one field needs another look.")
    told = organiser.locator(f"#{field}-problem")
    expect(told).to_contain_text(problem)
    wrong = organiser.locator(f"#{field}")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    assert wrong.get_attribute("aria-describedby") == told.get_attribute("id")
    expect(wrong).to_be_focused()
    assert typed(organiser) == before
    expect(organiser.get_by_label("Key", exact=True)).to_have_value("")
    organiser.goto("/admin/resources")
    expect(organiser.get_by_role("link", name="Good", exact=True)).to_have_count(0)


def test_only_types_that_can_be_called_can_be_chosen(ada):
    ada.goto("/admin/resources/new")
    options = ada.get_by_label("Type").locator("option")
    offered = {option.inner_text(): option.is_enabled() for option in options.all()}
    assert offered.pop("MCP Server") is True
    assert len(offered) == 4 and not any(offered.values()), offered
    assert all("cannot be called yet" in label for label in offered)


def test_a_key_in_a_header_of_its_own(ada, visitor, portal, closed_port):
    for page in [ada, visitor(storage_state=portal.signed_in(ADA), java_script_enabled=False)]:
        page.goto("/admin/resources/new")
        expect(page.get_by_label("Header name")).to_be_hidden()
        page.get_by_label("Authentication").select_option("header")
        expect(page.get_by_label("Header name")).to_be_visible()


def test_a_copy_takes_the_key_along_and_has_a_name_of_its_own(portal, organiser, echo, fastmcp, request):
    n = request.node.callspec.id
    resource(organiser, f"first-{n}", echo, name=f"First {n}")
    organiser.goto("/admin/resources")
    organiser.get_by_role("link", name=f"Duplicate First {n}").click()
    expect(organiser.get_by_label("Friendly name")).to_have_value(f"First {n} (copy)")
    expect(organiser.get_by_label("Deployment name")).to_have_value(f"first-{n}-copy")
    assert organiser.get_by_text("Leave empty to take it over.").is_visible()
    save(organiser)
    expect(organiser.get_by_role("status")).to_contain_text(f"First {n} (copy) is made")
    event(organiser, f"Copied {n}", f"First {n} (copy)")
    way = admitted(portal, f"Copied {n}", f"first-{n}-copy")
    assert fastmcp.do("tools", way, message="hi")["echo"] == "hi"


def test_a_resource_in_use_is_not_deleted_and_one_that_is_not_is_asked_for_by_name(portal, organiser, echo, request):
    n = request.node.callspec.id
    scripts = n == "scripts"
    resource(organiser, f"used-{n}", echo, name=f"Used {n}")
    event(organiser, f"First user {n}", f"Used {n}")
    event(organiser, f"Second user {n}", f"Used {n}")

    def ask() -> Page:
        organiser.goto("/admin/resources")
        organiser.get_by_role("link", name=f"Delete Used {n}", exact=True).click()
        asked = organiser.get_by_role("dialog") if scripts else organiser.locator(".ask")
        expect(asked).to_be_visible()
        return asked

    asked = ask()
    expect(asked.get_by_role("heading")).to_have_text(f"Used {n} is in use")
    assert asked.get_by_role("listitem").all_inner_texts() == [f"First user {n}", f"Second user {n}"]
    assert asked.get_by_role("button", name="Delete").count() == 0

    for user in ["First user", "Second user"]:
        organiser.goto("/admin/events")
        organiser.get_by_role("link", name=f"{user} {n}", exact=True).click()
        organiser.get_by_role("checkbox", name=re.compile(f"^Used {n} ")).uncheck()
        save(organiser)
        expect(organiser.get_by_role("status")).to_contain_text(f"{user} {n}")

    asked = ask()
    expect(asked.get_by_role("heading")).to_have_text(f"Delete Used {n}?")
    if scripts:
        organiser.keyboard.press("Escape")
        expect(asked).to_be_hidden()
        expect(organiser.get_by_role("link", name=f"Delete Used {n}", exact=True)).to_be_focused()
    else:
        asked.get_by_role("link", name="Cancel").click()
    expect(organiser.get_by_role("link", name=f"Used {n}", exact=True)).to_be_visible()
    ask().get_by_role("button", name=f"Delete Used {n}").click()
    told(organiser, f"Used {n} is deleted, with its endpoint and key.")
    expect(organiser.get_by_role("link", name=f"Used {n}", exact=True)).to_have_count(0)
