"""A real browser in front of the real binary.

Every page that a test opens is watched: a script error, a broken rule of the
page's own content security policy or a request to anywhere else fails it. What
the pages showed and the proxy said when a test failed is in its report.
"""

import shutil
from collections.abc import Callable, Iterator

import pytest
from journeys import admitted, fastmcp_client, open_event
from playwright.sync_api import Browser, Error, Page, sync_playwright
from portal import ADA, Portal
from programs import EXAMPLE, Client, Server
from watch import Watch

CHROMIUM = shutil.which("chromium")
WATCHES = pytest.StashKey[list[Watch]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed:
        for watch in item.stash.get(WATCHES, []):
            report.sections += [(f"{page.url} showed", text_of(page)) for page in watch.context.pages]
        if proxy := getattr(item, "funcargs", {}).get("portal"):
            report.sections.append(("the proxy said", "".join((proxy.out + proxy.err)[-40:])))
    return report


def text_of(page: Page) -> str:
    try:
        return page.locator("body").inner_text(timeout=2_000)
    except Error as error:
        return f"not readable: {error}"


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def scripts(request) -> bool:
    """Whether the browser runs the scripts of pages."""
    return request.param


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Containers of CI have no user namespaces; all that is opened is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A proxy with an empty data folder, for the tests of one file."""
    with Portal(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def visitor(request: pytest.FixtureRequest, chromium: Browser, portal: Portal) -> Iterator[Callable[..., Page]]:
    """Makes a page in a browser of its own that was never here; takes what Playwright's `new_context` takes."""
    watches = request.node.stash.setdefault(WATCHES, [])

    def make(**options) -> Page:
        options = {"base_url": portal.origin, "locale": "en-GB"} | options
        context = chromium.new_context(**options)
        context.set_default_timeout(15_000)
        watches.append(Watch(context, options["base_url"]))
        return context.new_page()

    yield make
    for watch in watches:
        watch.context.close()
    assert [complaint for watch in watches for complaint in watch.complaints] == []


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def somebody(request: pytest.FixtureRequest, chromium: Browser, portal: Portal) -> Iterator[Callable[[], Page]]:
    """Makes browsers that may go elsewhere to sign in and come back, as the watch of other tests does not let them."""
    contexts = []

    def make() -> Page:
        context = chromium.new_context(base_url=portal.origin, locale="en-GB", java_script_enabled=request.param)
        context.set_default_timeout(15_000)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def person(chromium: Browser) -> Iterator[Page]:
    """A page of somebody's own browser, which goes where it is sent, also to a client on this machine."""
    with chromium.new_context(locale="en-GB") as context:
        context.set_default_timeout(15_000)
        yield context.new_page()


@pytest.fixture
def ada(portal: Portal, visitor: Callable[..., Page]) -> Page:
    """A page of the administrator's, who is signed in."""
    return visitor(storage_state=portal.signed_in(ADA))


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def organiser(request: pytest.FixtureRequest, portal: Portal, visitor: Callable[..., Page]) -> Page:
    """The administrator, in a browser with JavaScript and in one without."""
    return visitor(storage_state=portal.signed_in(ADA), java_script_enabled=request.param)


@pytest.fixture(scope="session")
def echo() -> Iterator[Server]:
    """The MCP server of the guide."""
    with Server("mcp-demo", "fastmcp4", EXAMPLE) as server:
        yield server


@pytest.fixture(scope="session")
def fastmcp() -> Iterator[Client]:
    """A FastMCP client that attendees use."""
    with fastmcp_client() as client:
        yield client


@pytest.fixture
def room_with_demo(request: pytest.FixtureRequest, portal: Portal, echo: Server) -> Callable[..., tuple[str, list[str]]]:
    """Opens an event with the guide's server and people in it. Gives its name, which no other run has, and their keys."""
    run = f" {request.node.callspec.id}" if hasattr(request.node, "callspec") else ""

    def room(name: str, people: int = 1, **fields: object) -> tuple[str, list[str]]:
        event = name + run
        open_event(portal, event, echo, **fields)
        return event, admitted(portal, event, echo, people)

    return room
