"""Joining an event with GitHub, at the GitHub of `tests/github`."""

from collections.abc import Iterator

import httpx
import pytest
from journeys import event_id, open_event, told, visit
from playwright.sync_api import Page, expect
from portal import ADA, Portal
from programs import environment
from providers import provider


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    """Those for GitHub, which lasts as long as the tests: octocat and grace can sign in there."""
    with provider("github", ["URL", "CLIENT_ID", "CLIENT_SECRET"]) as variables:
        yield variables


@pytest.fixture(scope="module")
def portal(settings, tmp_path_factory) -> Iterator[Portal]:
    with Portal(tmp_path_factory.mktemp("github"), env=environment(**settings)) as running:
        yield running


@pytest.fixture
def event(portal: Portal, somebody, request) -> str:
    """The path of an event that people can join with GitHub, as its organiser has ticked."""
    name = f"{request.node.originalname[5:45]} {request.node.callspec.id}"
    open_event(portal, name)
    organiser = somebody()
    organiser.context.add_cookies(portal.signed_in(ADA)["cookies"])
    visit(organiser, name, "Event")
    organiser.get_by_role("group", name="Registration").get_by_label("With GitHub").check()
    organiser.get_by_role("button", name="Save", exact=True).click()
    told(organiser, name)
    return f"/event/{event_id(organiser, name)}"


def at_github(page: Page, link: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Select user to authorize")
    page.get_by_role("link", name=link, exact=True).click()


def sign_in(page: Page, event: str, link: str) -> None:
    page.goto(event)
    page.get_by_role("link", name="Sign in with GitHub").click()
    at_github(page, link)


def test_an_account_opens_the_same_page_in_every_browser(somebody, event):
    keys = set()
    for _ in range(2):
        page = somebody()
        sign_in(page, event, "octocat")
        expect(page.get_by_text("You are The Octocat.")).to_be_visible()
        assert page.url.endswith(event)
        page.get_by_text("Show the key").click()
        keys.add(page.locator("#key").inner_text())
    assert len(keys) == 1 and keys.pop().startswith("aik_")


def test_who_cancels_at_github_can_try_again(somebody, event):
    page = somebody()
    sign_in(page, event, "Cancel")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not signed in")
    expect(page.get_by_text("You cancelled signing in with GitHub.")).to_be_visible()
    page.get_by_role("link", name="Back to the event").click()
    page.get_by_role("link", name="Sign in with GitHub").click()
    at_github(page, "grace")
    expect(page.get_by_text("You are Grace Hopper.")).to_be_visible()


def test_the_way_back_of_another_browser_signs_nobody_in(somebody, event):
    """Whoever is sent a way back from GitHub would be signed in as somebody else."""
    attacker = somebody()
    attacker.goto(event)
    attacker.get_by_role("link", name="Sign in with GitHub").click()
    chosen = attacker.get_by_role("link", name="octocat", exact=True).get_attribute("href")
    back = httpx.get(attacker.url.split("?")[0] + chosen, follow_redirects=False).headers["location"]
    victim = somebody()
    victim.goto(back)
    expect(victim.get_by_role("heading", level=1)).to_have_text("Start again")
    victim.goto(event)
    victim.get_by_role("link", name="Sign in with GitHub").click()
    expect(victim.get_by_role("heading", level=1)).to_have_text("Select user to authorize")
    victim.goto(back)
    expect(victim.get_by_role("heading", level=1)).to_have_text("Start again")
    victim.get_by_role("link", name="Back to the event").click()
    expect(victim.get_by_role("link", name="Sign in with GitHub")).to_be_visible()


def test_a_way_back_that_is_used_again_signs_nobody_in(somebody, event):
    page = somebody()
    page.goto(event)
    ways = []
    page.on("request", lambda request: ways.append(request.url) if "/github/callback?" in request.url else None)
    page.get_by_role("link", name="Sign in with GitHub").click()
    at_github(page, "octocat")
    expect(page.get_by_text("You are The Octocat.")).to_be_visible()
    page.context.clear_cookies()
    page.goto(ways[0])
    expect(page.get_by_role("heading", level=1)).to_have_text("Start again")
