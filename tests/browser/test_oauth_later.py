"""What becomes of clients that have signed in: tokens grow old, events pause, proxies move and lose their data."""

import time
from urllib.parse import parse_qs, urlsplit

import pytest
from clock import starting_at
from journeys import admitted, comes_to, fares, open_event, url
from oauth import BRIDGE, TYPESCRIPT, Client, Replacement, allow, sign_in
from playwright.sync_api import Page
from portal import Portal
from programs import Server

NEWEST = ["fastmcp4", "typescript2"]
"""Of each family of libraries that keep what they were allowed."""
LIFETIME = 12 * 3600
"""Seconds for which an access token is good."""


def signed_in(client: Client, person: Page, key: str) -> Client:
    client.begin("signed in")
    sign_in(person, client.next_visit(), key)
    allow(person)
    assert client.ends() == ["answer: signed in"]
    return client


def once_expired(version: str, *where, **options) -> Client:
    """A client whose access token has expired. FastMCP sees that by its clock, the others when a call is refused."""
    clock = starting_at(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + LIFETIME)))
    client = Client(version, *where, **options, **clock)
    if version in [*TYPESCRIPT, BRIDGE]:
        client.lose_access()
    return client


@pytest.mark.parametrize("version", ["fastmcp4", *TYPESCRIPT, BRIDGE])
def test_five_windows_that_keep_an_expired_token_in_one_place_refresh_it_at_once(
    portal, room_with_demo, echo, person, tmp_path, version
):
    _, [key] = room_with_demo("Five windows")
    where = url(portal, echo.name), tmp_path
    with Client(version, *where) as client:
        before = signed_in(client, person, key).tokens()
    with once_expired(version, *where, windows=5) as client:
        assert client.call("refreshed") == 5 * ["answer: refreshed"]
        after = client.tokens()
        assert len(before) == len(after) == 2 and not before & after
        assert client.call("once more") == 5 * ["answer: once more"]


@pytest.mark.parametrize("version", ["fastmcp4", *TYPESCRIPT])
def test_a_pause_refuses_calls_in_words_and_ends_no_sign_in(portal, room_with_demo, echo, person, tmp_path, version):
    event, [key] = room_with_demo("Paused")
    with Client(version, url(portal, echo.name), tmp_path) as client:
        tokens = signed_in(client, person, key).tokens()
        open_event(portal, event, echo, active=False)
        # In force before the client calls: what a pause cuts off is no refusal, but a failed connection.
        comes_to("401 event_inactive", lambda: fares(portal, key, echo))
        [said] = client.call("paused")
        assert said.startswith("error: ") and "is paused at the moment. Ask Ada (ada@example.org)." in said
        open_event(portal, event, echo, active=True)
        comes_to("ok", lambda: fares(portal, key, echo))
        assert client.call("resumed") == ["answer: resumed"]
        assert client.tokens() == tokens


@pytest.mark.parametrize("version", NEWEST)
def test_a_wrong_key_beside_a_token_is_ignored(portal, room_with_demo, echo, person, tmp_path, version):
    _, [key] = room_with_demo("Two credentials")
    with Client(version, url(portal, echo.name), tmp_path, key="a wrong key") as client:
        signed_in(client, person, key)
        assert client.call("once more") == ["answer: once more"]


@pytest.mark.parametrize("version", [*NEWEST, BRIDGE])
def test_a_client_of_a_proxy_that_lost_its_data_signs_in_again_as_it_was_registered(
    echo, person, tmp_path, tmp_path_factory, version
):
    visits = []
    with Portal(tmp_path_factory.mktemp("before")) as proxy:
        where = url(proxy, echo.name), tmp_path
        with Client(version, *where) as client:
            visits += signed_in(client, person, room(proxy, echo)).visits()
    with Replacement(proxy, tmp_path_factory.mktemp("after")) as proxy, Client(version, *where) as client:
        visits += signed_in(client, person, room(proxy, echo)).visits()
    first, second = map(registered, visits)
    assert first == second


@pytest.mark.parametrize("version", NEWEST)
def test_a_token_is_good_under_another_public_url(echo, person, tmp_path, tmp_path_factory, version):
    with Portal(tmp_path_factory.mktemp("data")) as before:
        where = url(before, echo.name), tmp_path
        with Client(version, *where) as client:
            tokens = signed_in(client, person, room(before, echo)).tokens()
    moved = before.origin.replace("127.0.0.1", "localhost")
    with Replacement(before, before.data, "--public-url", moved):
        with Client(version, *where) as client:
            assert client.call("moved") == ["answer: moved"]
            assert client.tokens() == tokens
        with once_expired(version, *where) as client:
            assert client.call("refreshed") == ["answer: refreshed"]


def room(proxy: Portal | Replacement, server: Server) -> str:
    """Opens an event with the server; the key of somebody in it."""
    open_event(proxy, "Room", server)
    return admitted(proxy, "Room", server)[0]


def registered(address: str) -> str:
    """The id of the client that sends somebody there."""
    return parse_qs(urlsplit(address).query)["client_id"][0]
