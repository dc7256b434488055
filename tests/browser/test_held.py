"""A form that is sent after its sign-in has ended: it is kept, and sent once its owner has signed in again."""

import itertools

import pytest
from people import is_in, sign_in
from playwright.sync_api import Page, expect

NUMBERS = itertools.count(1)


@pytest.fixture
def owner(portal) -> str:
    """An owner of this test's own."""
    name = f"Hilda {next(NUMBERS)}"
    portal.signed_in(name)
    return name


@pytest.fixture
def page(visitor, owner, scripts) -> Page:
    page = visitor(java_script_enabled=scripts)
    page.goto("/admin")
    sign_in(page, owner)
    is_in(page, owner)
    return page


def signs_out_in_another_tab(page: Page) -> None:
    other = page.context.new_page()
    other.goto("/admin")
    other.get_by_role("button", name="Sign out", exact=True).click()
    expect(other.get_by_role("status")).to_have_text("You are signed out.")
    other.close()


def types_an_event(page: Page, name: str) -> None:
    page.goto("/admin/events/new")
    page.locator("#name").fill(name)
    page.locator("#description").fill("Bring a laptop. " * 500)
    page.locator("#organizer_name").fill("Hilda")
    page.locator("#organizer_email").fill("hilda@example.org")


def test_an_event_that_was_typed_is_saved_after_signing_in(page, owner, scripts):
    types_an_event(page, "Typed before")
    signs_out_in_another_tab(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You were signed out")
    expect(page.get_by_text("Sign in, and it is sent: this will save the event.")).to_be_visible()
    sign_in(page, owner, "not the password at all")
    expect(page.get_by_role("alert")).to_have_text("This name and password do not match.")
    expect(page.get_by_text("What was typed here is still kept.")).to_be_visible()
    sign_in(page, owner)
    if not scripts:
        expect(page.get_by_text("Sending it will save the event.")).to_be_visible()
        page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("status").filter(has_text="Typed before")).to_be_visible()
    page.goto("/admin/events")
    expect(page.get_by_role("link", name="Typed before", exact=True)).to_have_count(1)


def test_what_must_be_confirmed_waits_for_a_click(page, owner):
    page.goto("/admin/tokens")
    page.get_by_label("Name").fill("A script of mine")
    signs_out_in_another_tab(page)
    page.get_by_role("main").get_by_role("button").last.click()
    expect(page.get_by_text("you are asked whether to send it")).to_be_visible()
    sign_in(page, owner)
    expect(page.get_by_role("heading", level=1)).to_have_text("A form that waits")
    expect(page.get_by_text("make an API token")).to_be_visible()
    waits_at = page.url
    page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("status")).to_contain_text("The token A script of mine is made.")
    page.goto(waits_at)
    expect(page.get_by_role("heading", level=1)).to_have_text("This form is no longer kept")


def test_whoever_else_signs_in_there_does_not_send_it(portal, page):
    other = f"Ida {next(NUMBERS)}"
    portal.signed_in(other)
    types_an_event(page, "Not yours")
    signs_out_in_another_tab(page)
    page.get_by_role("button", name="Save", exact=True).click()
    sign_in(page, other)
    expect(page.get_by_role("heading", level=1)).to_have_text("Another owner's form")
    expect(page.get_by_text(f"You are signed in as {other}")).to_be_visible()
    page.goto("/admin/events")
    expect(page.get_by_role("link", name="Not yours", exact=True)).to_have_count(0)


def test_a_button_is_pressed_again_on_its_page(page, owner):
    page.goto("/admin/account")
    signs_out_in_another_tab(page)
    page.get_by_role("button", name="Sign out there").click()
    expect(page.get_by_text("Nothing was done. Sign in, then press the button again.")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, owner)
    is_in(page, owner)
    assert page.url.endswith("/admin/account")
