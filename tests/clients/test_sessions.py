"""Sessions and their GET stream on the wire: resuming, leaving, ending, and whose they are."""

import json

import pytest
from wire import call, http, initialize, listening, messages, post

SERVERS = ["handshake-fastmcp2", "handshake-fastmcp3"]
every_server = pytest.mark.parametrize("server_name", SERVERS)


def method(event: dict) -> str:
    return json.loads(event["data"])["method"]


@every_server
def test_last_event_id_brings_what_was_missed(server_name, reach):
    way = reach(server_name)
    with http(way) as client:
        session = initialize(client, way.url)
        with listening(client, way.url, session) as stream:
            call(client, way.url, session, "announce")
            heard = next(event for event in stream if event["data"])
            assert method(heard) == "notifications/tools/list_changed"
        way.server.awaited(f"left/{session}")

        with listening(client, way.url, session, last_event_id=heard["id"]) as stream:
            missed = next(event for event in stream if event["data"])

        assert method(missed) == "notifications/resources/list_changed"


@every_server
def test_hanging_up_frees_the_stream_at_the_backend(server_name, reach):
    """A GET that the backend believes open makes it refuse the next one with 409."""
    way = reach(server_name)
    with http(way) as client:
        session = initialize(client, way.url)
        with listening(client, way.url, session):
            way.server.awaited(f"listening/{session}")
        way.server.awaited(f"left/{session}")

        with listening(client, way.url, session):
            assert client.get(way.url, headers={"mcp-session-id": session}).status_code == 409


@every_server
def test_a_session_ends_with_delete(server_name, reach):
    way = reach(server_name)
    with http(way) as client:
        session = initialize(client, way.url)
        assert post(client, way.url, "tools/list", mcp_session_id=session).status_code == 200

        assert client.delete(way.url, headers={"mcp-session-id": session}).status_code == 200

        assert post(client, way.url, "tools/list", mcp_session_id=session).status_code == 404


@every_server
def test_a_session_is_kept_by_its_header_alone(server_name, reach):
    """Connections come and go between a client's requests."""
    way = reach(server_name)
    with http(way) as client:
        session = initialize(client, way.url)
    with http(way) as client:
        [message] = messages(call(client, way.url, session, "repeat", text="ab", times=2))

    assert message["result"]["content"][0]["text"] == "abab"


@pytest.mark.proxied
@every_server
def test_another_attendee_cannot_use_a_session(server_name, through):
    way, others_way = through()(server_name), through()(server_name)
    with http(way) as client, http(others_way) as other:
        session = initialize(client, way.url)

        for answer in (
            post(other, others_way.url, "tools/list", mcp_session_id=session),
            other.get(others_way.url, headers={"mcp-session-id": session}),
            other.delete(others_way.url, headers={"mcp-session-id": session}),
        ):
            assert answer.status_code == 404
            assert answer.headers["x-error-source"] == "proxy"
            assert answer.json()["error"]["data"]["code"] == "session_not_found"

        assert not others_way.requests()
        assert post(client, way.url, "tools/list", mcp_session_id=session).status_code == 200
