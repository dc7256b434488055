"""The two keys never meet: the backend gets its own, in the way the resource says, and nothing of the attendee's."""

import json

import pytest
from programs import Reach
from proxy import AiProxy, apply, issue, workshop
from wire import http, post

pytestmark = pytest.mark.proxied

AUTHS = {
    "api-key": {"api-key": "{key}"},
    "bearer": {"authorization": "Bearer {key}"},
    "header:X-Functions-Key": {"x-functions-key": "{key}"},
    "none": {},
}


@pytest.fixture(scope="module")
def ways(server, tmp_path_factory):
    """A way to one and the same server by each kind of authentication."""
    data = tmp_path_factory.mktemp("credentials")
    backend = server("handshake-fastmcp3")
    resources = {deployment(auth): backend.resource(auth=auth) for auth in AUTHS if auth != "none"}
    apply(data, workshop(resources | {"none": {"endpoint": f"{backend.origin}/mcp", "auth": "none"}}))
    [key] = issue(data, 1)
    with AiProxy(data) as running:
        yield lambda auth: Reach(backend, f"{running.api}/mcp/{deployment(auth)}/mcp", {"api-key": key})


def deployment(auth: str) -> str:
    return auth.partition(":")[0]


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("client_sends", ["api-key", "authorization"])
def test_the_backend_gets_its_own_key_only(auth, client_sends, ways):
    way = ways(auth)
    attendee_key = way.headers["api-key"]
    if client_sends == "authorization":
        way.headers = {"authorization": f"Bearer {attendee_key}"}
    with http(way) as client:
        post(
            client, way.url, "initialize",
            x_api_key="of-the-attendee", cookie="of=the-attendee", x_forwarded_for="203.0.113.7", x_custom="kept",
        )

    [request] = way.requests()
    sent = dict(request["headers"])
    for name in ("api-key", "x-api-key", "authorization", "x-functions-key", "cookie", "x-forwarded-for"):
        expected = AUTHS[auth].get(name)
        assert sent.get(name) == (expected and expected.format(key=way.server.key)), name
    assert attendee_key not in json.dumps(request)
    assert sent["host"] == way.server.origin.removeprefix("http://")
    assert sent["x-custom"] == "kept"
