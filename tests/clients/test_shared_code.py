"""People who join by a shared code, under the names that they have."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from programs import HERE, Client, Reach
from proxy import AiProxy, apply, workshop
from wire import http

pytestmark = pytest.mark.proxied

EVENT_ID = "a1b2-c3d4"
CODE = "Welcome2026"
NAMES = ["Ada", "Ada Lovelace", "Zoë Müller", "李小龍", "ada@example.org"]


@pytest.fixture(scope="module")
def room(server, tmp_path_factory) -> Iterator[AiProxy]:
    data = tmp_path_factory.mktemp("room")
    apply(data, workshop({"demo": server("guide-fastmcp3").resource()}, id=EVENT_ID, shared_code=CODE))
    with AiProxy(data) as running:
        yield running


def key(name: str, code: str = CODE) -> str:
    return f"{EVENT_ID}@{code}/{name}"


def way(room: AiProxy, server, key: str) -> Reach:
    return Reach(server("guide-fastmcp3"), f"{room.api}/mcp/demo/mcp", {"api-key": key})


@pytest.mark.parametrize("client_name", ["fastmcp2", "fastmcp3", "fastmcp4", "typescript1", "typescript2"])
@pytest.mark.parametrize("name", NAMES)
def test_a_client_joins_under_a_name(name, client_name, client, room, server):
    """Libraries take no header beyond ASCII, or one of Latin-1: such names are percent-encoded."""
    sent = name if name.isascii() else quote(name)

    facts = client(client_name).do("tools", way(room, server, key(sent)), message=name)

    assert facts["echo"] == name


INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "spelling", "version": "1"},
    },
}


def spellings(name: str) -> list[bytes]:
    """As editors, shells and HTTP libraries send one and the same name."""
    return [
        quote(name).encode(),
        quote(name, safe="").lower().encode(),
        name.encode(),
        name.upper().encode(),
        f"%20{name}%20".encode(),
    ]


@pytest.mark.parametrize("name", ["Grace Hopper", "Zoé Müller", "李小明"])
def test_all_spellings_are_one_person(name, client, room, server):
    client("fastmcp3").do("tools", way(room, server, key(quote(name))), message="Two calls")
    with http(way(room, server, "")) as raw:
        for code in (CODE, CODE.upper()):
            for spelling in spellings(name):
                sent = f"{EVENT_ID}@{code}/".encode() + spelling
                answer = raw.post(f"{room.api}/mcp/demo/mcp", json=INITIALIZE, headers={b"api-key": sent})
                assert answer.status_code == 200, f"{spelling}: {answer.text}"
                assert answer.headers["x-ratelimit-remaining-requests"] == "99998", spelling


@pytest.fixture(scope="module")
def node() -> Iterator[Client]:
    with Client("node", ["node", str(HERE / "typescript/node.mjs")]) as node:
        yield node


@pytest.mark.parametrize(("name", "status"), [("Alan Turing", 200), ("Zo%C3%AB Turing", 200), ("Zoë Turing", 401)])
def test_nodes_fetch_joins_or_is_told_how_to_write_the_name(name, status, node, room, server):
    """It writes `ë` as one byte, which is not UTF-8."""
    facts = node.do("opens", way(room, server, key(name)), message=INITIALIZE)

    assert facts["status"] == status, facts["text"]
    if status == 401:
        error = json.loads(facts["text"])["error"]
        assert error["data"]["code"] == "name_not_usable"
        assert "percent-encoded" in error["message"]
