"""What a session can do beyond calling a tool, in both eras of the protocol.

Servers pace themselves by what the client has seen: were an event held back
anywhere on the way, the tool would wait for it in vain and fail.
"""

import pytest

DISCOVER_CLIENTS = ["fastmcp4", "mcp2", "typescript2"]
HANDSHAKE_CLIENTS = ["fastmcp2", "fastmcp3", "mcp1", "typescript1", *DISCOVER_CLIENTS]

HANDSHAKES = [("handshake-fastmcp3", client) for client in HANDSHAKE_CLIENTS] + [
    ("handshake-fastmcp2", client) for client in ("fastmcp2", "typescript1")
]
DISCOVERIES = [("discover-mcp2", client) for client in DISCOVER_CLIENTS]
# A server of the newer era goes back to the older one for clients that know no other.
FALLBACKS = [("discover-mcp2", client) for client in ("fastmcp2", "mcp1", "typescript1")]


def pairs(*lists: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("server_name", "client_name"), sum(lists, []))


@pairs(HANDSHAKES, DISCOVERIES, FALLBACKS)
def test_progress_arrives_step_by_step(server_name, client_name, client, reach):
    facts = client(client_name).do("progress", reach(server_name), count=5)

    assert facts["seen"] == [[step, 5, f"step {step}"] for step in range(1, 6)]
    assert facts["result"] == "5 steps"


@pairs(HANDSHAKES, DISCOVERIES)
def test_the_server_asks_the_clients_model(server_name, client_name, client, reach):
    facts = client(client_name).do("sampling", reach(server_name))

    assert facts["asked"] == [["What is it?", "Be brief"]]
    assert facts["result"] == "the model said: forty-two"


@pairs(HANDSHAKES, DISCOVERIES)
def test_the_server_asks_the_person(server_name, client_name, client, reach):
    facts = client(client_name).do("elicitation", reach(server_name))

    assert facts["asked"] == ["Your name?"]
    assert facts["result"] == "the person said: Ada"


@pairs(HANDSHAKES, DISCOVERIES, FALLBACKS)
def test_reads_resources(server_name, client_name, client, reach):
    facts = client(client_name).do("resources", reach(server_name))

    assert facts == {
        "listed": ["note://today"],
        "today": "Bring a laptop.",
        "room": "Room lovelace is on the first floor. ☕",
    }


@pairs(HANDSHAKES, DISCOVERIES, FALLBACKS)
def test_gets_prompts(server_name, client_name, client, reach):
    facts = client(client_name).do("prompts", reach(server_name))

    assert facts == {"listed": ["greet"], "prompt": "Say hello to Ada."}


@pairs(HANDSHAKES, DISCOVERIES, FALLBACKS)
def test_large_messages_pass_both_ways(server_name, client_name, client, reach):
    facts = client(client_name).do("large", reach(server_name), times=60_000)

    assert facts == {"down": 180_000, "up": 180_000, "same": True}


@pairs(HANDSHAKES)
def test_hears_the_server_on_the_get_stream(server_name, client_name, client, reach):
    way = reach(server_name)

    facts = client(client_name).do("notifications", way)

    assert facts["heard"] == ["notifications/resources/list_changed", "notifications/tools/list_changed"]
    assert [request["status"] for request in way.requests() if request["method"] == "GET"] == [200]


@pytest.mark.parametrize("client_name", ["mcp2", "typescript2"])
def test_hears_the_server_on_a_subscription(client_name, client, reach):
    way = reach("discover-mcp2")

    facts = client(client_name).do("listen", way)

    assert len(facts["heard"]) == 2
    assert {request["method"] for request in way.requests()} == {"POST"}
    assert "subscriptions/listen" in {header(request, "mcp-method") for request in way.requests()}


@pairs(HANDSHAKES)
def test_resumes_a_dropped_stream(server_name, client_name, client, reach):
    way = reach(server_name)

    facts = client(client_name).do("resume", way)

    last_event_id = next(id for request in way.requests() if (id := header(request, "last-event-id")))
    assert facts["result"] == f"resumed after {last_event_id}"


@pairs(HANDSHAKES, FALLBACKS)
def test_ends_its_session(server_name, client_name, client, reach):
    way = reach(server_name)

    client(client_name).do("end", way)

    [delete] = [request for request in way.requests() if request["method"] == "DELETE"]
    assert delete["status"] == 200
    assert header(delete, "mcp-session-id")


@pairs(HANDSHAKES, FALLBACKS)
def test_cancels_a_call(server_name, client_name, client, reach):
    assert client(client_name).do("cancel", reach(server_name))["tools"] > 0


@pytest.mark.parametrize("speak", [False, True], ids=["before-headers", "mid-stream"])
@pytest.mark.parametrize("client_name", DISCOVER_CLIENTS)
def test_cancels_a_call_by_leaving(client_name, speak, client, reach):
    assert client(client_name).do("cancel", reach("discover-mcp2"), speak=speak)["tools"] > 0


def header(request: dict, name: str) -> str | None:
    return dict(request["headers"]).get(name)
