"""Which servers and clients there are, and how a test gets from one to the other.

Under `--direct` clients talk to the servers themselves: what fails there is
the test's fault or the library's, never the proxy's.
"""

from collections.abc import Callable, Iterator

import pytest
from programs import EXAMPLE, HERE, Client, Reach, Server, python
from proxy import AiProxy, apply, issue, workshop

SERVERS = {
    "guide-fastmcp2": ("fastmcp2", EXAMPLE),
    "guide-fastmcp3": ("fastmcp3", EXAMPLE),
    "guide-fastmcp4": ("fastmcp4", EXAMPLE),
    "handshake-fastmcp2": ("fastmcp2", HERE / "servers/handshake.py"),
    "handshake-fastmcp3": ("fastmcp3", HERE / "servers/handshake.py"),
    "discover-mcp2": ("fastmcp4", HERE / "servers/discover.py"),
}
CLIENTS = {
    "fastmcp2": [python("fastmcp2"), str(HERE / "python/fastmcp_client.py")],
    "fastmcp3": [python("fastmcp3"), str(HERE / "python/fastmcp_client.py")],
    "fastmcp4": [python("fastmcp4"), str(HERE / "python/fastmcp_client.py")],
    "mcp1": [python("fastmcp3"), str(HERE / "python/mcp1_client.py")],
    "mcp2": [python("fastmcp4"), str(HERE / "python/mcp2_client.py")],
    "typescript1": ["node", str(HERE / "typescript/client1.mjs")],
    "typescript2": ["node", str(HERE / "typescript/client2.mjs")],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--direct", action="store_true", help="leave the proxy out: are tests and libraries sound?")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--direct"):
        about_the_proxy = [item for item in items if item.get_closest_marker("proxied")]
        config.hook.pytest_deselected(items=about_the_proxy)
        items[:] = [item for item in items if item not in about_the_proxy]


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[str], Server]]:
    """A server by name. They all start at once, the first time that one is wanted."""
    started: dict[str, Server] = {}

    def get(name: str) -> Server:
        if not started:
            started.update({name: Server(name, *how) for name, how in SERVERS.items()})
        return started[name]

    yield get
    for program in started.values():
        program.stop()


@pytest.fixture(scope="session")
def client() -> Iterator[Callable[[str], Client]]:
    """Starts a client by name, once; one that left a job unanswered is replaced."""
    started: dict[str, Client] = {}

    def get(name: str) -> Client:
        if name in started and not started[name].fit():
            started.pop(name).stop()
        if name not in started:
            started[name] = Client(name, CLIENTS[name])
        return started[name]

    yield get
    for program in started.values():
        program.stop()


@pytest.fixture(scope="session")
def proxy(server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AiProxy]:
    """The proxy in front of all servers, each under its own name."""
    data = tmp_path_factory.mktemp("proxy")
    apply(data, workshop({name: server(name).resource() for name in SERVERS}))
    with AiProxy(data) as running:
        yield running


@pytest.fixture(scope="session")
def attendees(proxy: AiProxy) -> Iterator[str]:
    """Keys that nobody has used yet; `next` takes one."""
    return iter(issue(proxy.data, 400))


@pytest.fixture
def reach(request: pytest.FixtureRequest, server: Callable[[str], Server]) -> Callable[[str], Reach]:
    """How this test's attendee reaches a server by name: through the proxy, save under `--direct`."""
    if request.config.getoption("--direct"):
        return lambda name: Reach(server(name), f"{server(name).origin}/mcp", {"api-key": server(name).key})
    return request.getfixturevalue("through")()


@pytest.fixture
def through(
    server: Callable[[str], Server], proxy: AiProxy, attendees: Iterator[str]
) -> Callable[[], Callable[[str], Reach]]:
    """A new attendee, as the way that they reach a server by name."""

    def attendee() -> Callable[[str], Reach]:
        headers = {"api-key": next(attendees)}
        return lambda name: Reach(server(name), f"{proxy.api}/mcp/{name}/mcp", headers)

    return attendee
