"""Servers as they are hosted: behind a load balancer, without sessions, or quick to close connections."""

from collections.abc import Iterator

import pytest
from programs import BACKEND_KEY, HERE, Reach, Server
from proxy import AiProxy, apply, issue, workshop
from wire import http, initialize, post

SERVERS = ["balanced", "constant", "closing"]
every_client = pytest.mark.parametrize("client_name", ["fastmcp2", "fastmcp3", "fastmcp4"])


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    started = {name: Server(name, "fastmcp3", HERE / f"servers/{name}.py") for name in SERVERS}
    yield started
    for program in started.values():
        program.stop()


@pytest.fixture(scope="module")
def clouds(servers, tmp_path_factory) -> Iterator[tuple[AiProxy, Iterator[str]]]:
    data = tmp_path_factory.mktemp("clouds")
    apply(data, workshop({name: server.resource() for name, server in servers.items()}))
    with AiProxy(data) as running:
        yield running, iter(issue(data, 40))


@pytest.fixture
def attendee(request, servers):
    """A new attendee, as the way that they reach a server by name: through the proxy, save under `--direct`."""
    if request.config.getoption("--direct"):
        return lambda name: Reach(servers[name], f"{servers[name].origin}/mcp", {"api-key": BACKEND_KEY})
    proxy, keys = request.getfixturevalue("clouds")
    return lambda name: Reach(servers[name], f"{proxy.api}/mcp/{name}/mcp", {"api-key": next(keys)})


@every_client
def test_a_session_stays_at_its_instance(client_name, attendee, client):
    answers = client(client_name).do("whereabouts", attendee("balanced"), sessions=5, calls=4)

    assert [len(set(session)) for session in answers] == [1] * 5


@pytest.mark.proxied
def test_nobody_sees_the_balancers_cookie(attendee):
    way = attendee("balanced")
    with http(way) as client:
        session = initialize(client, way.url)
        answer = post(client, way.url, "tools/list", mcp_session_id=session)

    assert answer.status_code == 200
    assert not client.cookies
    cookies = [dict(request["headers"]).get("cookie") for request in way.requests()]
    assert cookies[0] is None
    assert set(cookies[1:]) in ({"acaAffinity=one"}, {"acaAffinity=two"})


@every_client
def test_one_session_for_everybody_serves_two_at_once(client_name, attendee, client):
    way, others_way = attendee("constant"), attendee("constant")

    facts = client(client_name).do("side_by_side", way, others_headers=others_way.headers)

    turns = [f"{who} {turn}" for turn in range(3) for who in ("second", "first")]
    assert facts["echoes"] == ["alone", *turns, "together", "together", "alone again"]


@pytest.mark.proxied
def test_a_backend_that_closes_idle_connections_early_loses_no_call(attendee):
    way = attendee("closing")
    with http(way) as client:
        for number in range(1, 8):
            call = {"name": "echo", "arguments": {"message": f"call {number}"}}
            answer = post(client, way.url, "tools/call", call)
            assert answer.status_code == 200, f"call {number}: {answer.text}"
            way.server.awaited(f"rested/{number}")
