"""Who somebody is, as they tell it: signing in and out, links that are handed over."""

from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect
from portal import PASSWORD, Portal
from proxy import ai_proxy


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fills in the form of the page that is open, and sends it."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    # What is said of one attempt looks like what was said of the one before.
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")


def is_in(page: Page, name: str) -> None:
    """Waits for a page that `name` is signed in on."""
    expect(page.get_by_role("navigation", name="Sections")).to_contain_text(name)


def is_out(page: Page) -> None:
    """Whoever asks for a page is asked to sign in."""
    page.goto("/admin/resources")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def choose_password(page: Page, password: str = PASSWORD) -> None:
    """On the page of a link that was handed over."""
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Password once more").fill(password)
    page.get_by_role("button", name="Save and sign in").click()


def link_of(portal: Portal, *command: str) -> str:
    """The path of the link that `ai-proxy owner …` prints."""
    printed = ai_proxy(portal.data, "owner", *command, "--public-url", portal.origin)
    return urlsplit(printed.splitlines()[0]).path


def shown_once(page: Page) -> str:
    """The secret that the page has just been left."""
    return page.get_by_role("main").get_by_role("status").locator("code").inner_text()


def asked(page: Page, title: str, scripts: bool) -> Locator:
    """What asks before something is lost: a dialog, or a page where there are no scripts."""
    place = page.get_by_role("dialog", name=title) if scripts else page.get_by_role("main")
    expect(place.get_by_role("heading", level=2)).to_have_text(title)
    return place
