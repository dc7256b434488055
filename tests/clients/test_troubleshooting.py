"""The guide's troubleshooting table, row by row: what went wrong is told apart at a glance."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from conftest import CLIENTS
from programs import HERE, Client, Reach, Server
from proxy import AiProxy, apply, issue, workshop
from wire import http, initialize, post

pytestmark = pytest.mark.proxied

TELL_THE_SENTENCE = {"fastmcp4", "mcp2", "typescript1"}
WRONG_KEY = "not the server's MCP_API_KEY"
every_client = pytest.mark.parametrize("client_name", CLIENTS)


@dataclass
class Trouble:
    """A proxy of its own, in front of servers that are each wrong in one way."""

    proxy: AiProxy
    keys: Iterator[str]
    guide: Server
    sse: Server

    def way(self, deployment: str) -> Reach:
        return Reach(self.guide, f"{self.proxy.api}/mcp/{deployment}/mcp", {"api-key": next(self.keys)})


@pytest.fixture(scope="module")
def trouble(server, tmp_path_factory) -> Iterator[Trouble]:
    data = tmp_path_factory.mktemp("trouble")
    guide, slow = server("guide-fastmcp3"), server("discover-mcp2")
    with Server("sse", "fastmcp3", HERE / "servers/sse.py") as sse, socket.socket() as nobody:
        # Bound but not listening: connections are refused, and nobody else gets the port meanwhile.
        nobody.bind(("127.0.0.1", 0))
        resources = {
            "mcp-demo": guide.resource(),
            "slash-too-many": guide.resource(path="/mcp/"),
            "wrong-key": guide.resource(key=WRONG_KEY),
            "down": guide.resource(endpoint=f"http://127.0.0.1:{nobody.getsockname()[1]}/mcp"),
            "slow": slow.resource(),
            "sse-only": sse.resource(),
        }
        apply(data, workshop(resources))
        with AiProxy(data, "--backend-timeout", "2") as running:
            yield Trouble(running, iter(issue(data, 60)), guide, sse)


@dataclass
class Refusal:
    status: int
    source: str
    sentence: str
    """What the proxy tells a person; empty where the backend refused."""
    facts: dict


def refusal(way: Reach) -> Refusal:
    """What an initialize is answered with."""
    with http(way) as client:
        answer = post(client, way.url, "initialize")
    source = answer.headers["x-error-source"]
    error = answer.json()["error"] if source == "proxy" else {"message": "", "data": {}}
    return Refusal(answer.status_code, source, error["message"], error["data"])


def assert_told(client: Client, way: Reach, refused: Refusal) -> None:
    """A client's user learns the proxy's sentence, or the status, from the library's own error."""
    told = client.fail("tools", way, message="").replace('\\"', '"')
    if client.name in TELL_THE_SENTENCE:
        assert refused.sentence in told
    elif refused.status == 404:
        assert "Session terminated" in told or refused.sentence in told
    else:
        assert str(refused.status) in told


def assert_told_the_same(client: Client, way: Reach, direct: Reach) -> None:
    """A backend's refusal looks as it does without the proxy, whatever the library makes of it."""

    def told(asked: Reach) -> set[str]:
        lines = client.fail("tools", asked, message="").replace(asked.url, "URL").splitlines()
        return {line for line in lines if not line.startswith("CancelledError: ")}

    assert told(way) == told(direct)


# 401 Unauthorized from proxy


@every_client
def test_a_wrong_attendee_key(client_name, trouble, client):
    way = trouble.way("mcp-demo")
    way.headers = {"api-key": "not-an-attendees-key"}

    refused = refusal(way)
    assert (refused.status, refused.source, refused.facts["code"]) == (401, "proxy", "invalid_api_key")
    assert_told(client(client_name), way, refused)


def test_no_attendee_key(trouble):
    way = trouble.way("mcp-demo")
    way.headers = {}

    with http(way) as client:
        answer = post(client, way.url, "initialize")

    assert answer.status_code == 401
    assert answer.json()["error"]["data"]["code"] == "missing_api_key"
    assert answer.headers["www-authenticate"].startswith("Bearer resource_metadata="), "or sign in"


# 404 Not Found from proxy


@every_client
def test_an_unknown_deployment(client_name, trouble, client):
    way = trouble.way("mcp-dmeo")

    refused = refusal(way)
    assert (refused.status, refused.source, refused.facts["code"]) == (404, "proxy", "deployment_not_found")
    assert sorted(refused.facts["available"]) == ["down", "mcp-demo", "slash-too-many", "slow", "sse-only", "wrong-key"]
    assert_told(client(client_name), way, refused)


# 401 Unauthorized from backend


@every_client
def test_a_wrong_backend_key(client_name, trouble, client):
    way = trouble.way("wrong-key")

    refused = refusal(way)
    assert (refused.status, refused.source) == (401, "backend")
    direct = Reach(trouble.guide, f"{trouble.guide.origin}/mcp", {"api-key": WRONG_KEY})
    assert_told_the_same(client(client_name), way, direct)


# 503 Service Unavailable


@every_client
def test_a_backend_that_is_down(client_name, trouble, client):
    way = trouble.way("down")

    refused = refusal(way)
    assert (refused.status, refused.source, refused.facts["code"]) == (503, "proxy", "backend_unreachable")
    assert refused.facts["deployment"] == "down"
    assert_told(client(client_name), way, refused)


def test_a_backend_that_takes_too_long(trouble):
    way = trouble.way("slow")
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    hang = {"name": "hang", "arguments": {"token": way.mark, "speak": False}, "_meta": meta}
    with http(way) as client:
        answer = post(
            client, way.url, "tools/call", hang,
            mcp_protocol_version="2026-07-28", mcp_method="tools/call", mcp_name="hang",
        )

    assert answer.status_code == 503
    assert answer.json()["id"] == 1
    assert answer.json()["error"]["data"]["code"] == "backend_timeout"


# Client can't connect


@pytest.mark.parametrize("client_name", ["fastmcp2", "fastmcp3", "fastmcp4", "mcp1"])
def test_a_client_of_the_older_sse_transport(client_name, trouble, client):
    """It opens a GET and waits for an `endpoint` event; it is told at once that there is none to come."""
    assert "400 Bad Request" in client(client_name).fail("sse", trouble.way("mcp-demo"))


@every_client
def test_a_server_of_the_older_sse_transport(client_name, trouble, client):
    way = trouble.way("sse-only")

    refused = refusal(way)
    assert (refused.status, refused.source) == (405, "backend")
    direct = Reach(trouble.sse, f"{trouble.sse.origin}/mcp", {"api-key": trouble.sse.key})
    assert_told_the_same(client(client_name), way, direct)


@every_client
def test_an_endpoint_url_with_a_slash_too_many(client_name, trouble, client):
    """FastMCP answers with a redirect to its own address, which is followed and never shown."""
    url = f"{trouble.guide.origin}/mcp/"
    redirect = httpx.post(url, headers={"api-key": trouble.guide.key}, json={}, trust_env=False)
    assert redirect.status_code == 307
    assert redirect.headers["location"] == url.removesuffix("/")

    facts = client(client_name).do("tools", trouble.way("slash-too-many"), message="Hello!")

    assert facts["echo"] == "Hello!"


# Session errors


def test_a_session_id_that_the_client_does_not_send_back(trouble):
    way = trouble.way("mcp-demo")
    with http(way) as client:
        initialize(client, way.url)
        answer = post(client, way.url, "tools/list")

    assert (answer.status_code, answer.headers["x-error-source"]) == (400, "backend")


def test_a_session_that_the_backend_does_not_know(trouble):
    way = trouble.way("mcp-demo")
    with http(way) as client:
        answer = post(client, way.url, "tools/list", mcp_session_id="of-another-day")

    assert (answer.status_code, answer.headers["x-error-source"]) == (404, "backend")


def test_a_session_that_has_ended(trouble):
    way = trouble.way("mcp-demo")
    with http(way) as client:
        session = initialize(client, way.url)
        client.delete(way.url, headers={"mcp-session-id": session})
        answer = post(client, way.url, "tools/list", mcp_session_id=session)

    assert (answer.status_code, answer.headers["x-error-source"]) == (404, "proxy")
    assert answer.json()["error"]["data"]["code"] == "session_not_found"
