"""A session of the handshake era by hand, for what no client library lets one do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from programs import SECONDS, Reach

ACCEPT = "application/json, text/event-stream"


def http(way: Reach) -> httpx.Client:
    """A plain HTTP client that carries the key and the test's mark."""
    headers = way.headers | {"x-test-mark": way.mark, "accept": ACCEPT}
    return httpx.Client(headers=headers, timeout=SECONDS, trust_env=False)


def initialize(client: httpx.Client, url: str, version: str = "2025-11-25") -> str:
    """Opens a session as a client library would, and returns its id."""
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}}
    answer = post(client, url, "initialize", params)
    assert answer.status_code == 200, answer.text
    session = answer.headers["mcp-session-id"]
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    accepted = client.post(url, json=told, headers={"mcp-session-id": session})
    assert accepted.status_code == 202, accepted.text
    return session


def post(client: httpx.Client, url: str, method: str, params: dict | None = None, **headers: str) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return client.post(url, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def call(client: httpx.Client, url: str, session: str, tool: str, **arguments) -> httpx.Response:
    return post(client, url, "tools/call", {"name": tool, "arguments": arguments}, mcp_session_id=session)


def messages(answer: httpx.Response) -> list[dict]:
    """The JSON-RPC messages of an answer, whether it is JSON or a whole event stream."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return [json.loads(event["data"]) for event in events(iter(answer.text.splitlines())) if event["data"]]
    return [answer.json()]


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The events of a stream, each as its fields; comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and fields:
            yield {"data": ""} | fields
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


@contextmanager
def listening(client: httpx.Client, url: str, session: str, **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    """An open GET stream; leaving the block hangs up."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with client.stream("GET", url, headers={"mcp-session-id": session} | named) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer.iter_lines())
