"""What an attendee's libraries did is what the proxy says they did."""

import time

import pytest
from programs import SECONDS
from wire import http

pytestmark = pytest.mark.proxied

WORKERS = 20
ROUNDS = 5


@pytest.mark.parametrize("generation", [3, 4])
def test_every_call_is_counted_once_under_its_tool(generation, proxy, client, reach):
    way = reach(f"guide-fastmcp{generation}")
    facts = client(f"fastmcp{generation}").do("workers", way, workers=WORKERS, rounds=ROUNDS)
    assert facts["failures"] == []

    used, tools = settled_usage(way, proxy, calls=2 * WORKERS * ROUNDS)

    assert used == 2 * WORKERS * ROUNDS, "tools are called, lists are free"
    assert tools["tools/call", "echo"] == WORKERS * ROUNDS
    assert tools["tools/call", "get_current_utc_time"] == WORKERS * ROUNDS
    assert tools["tools/list", ""] >= WORKERS * ROUNDS


def settled_usage(way, proxy, calls: int) -> tuple[int, dict]:
    """Usage is written each second: what it says once it holds that many calls, or at the deadline."""
    deadline = time.monotonic() + SECONDS
    with http(way) as client:
        while True:
            usage = client.get(f"{proxy.api}/usage").raise_for_status().json()
            tools = {(row["operation"], row["name"]): row["requests"] for row in usage["usage"]}
            called = sum(requests for (operation, _), requests in tools.items() if operation == "tools/call")
            if called >= calls or time.monotonic() > deadline:
                return usage["used"], tools
