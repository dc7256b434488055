"""Signing in and out: who is let in, who waits, and what nobody sees after that."""

import itertools
import re
import sqlite3

import pytest
from people import choose_password, is_in, is_out, link_of, sign_in, sign_out
from playwright.sync_api import expect
from portal import PASSWORD

NEW = "another dozen of kites"
WRONG = "not the password at all"
GUESSES = 10
NUMBERS = itertools.count(1)


@pytest.fixture
def owner(portal) -> str:
    """An owner of this test's own."""
    name = f"Grace {next(NUMBERS)}"
    portal.signed_in(name)
    return name


def test_whoever_signs_in_comes_to_the_page_that_they_asked_for(portal, visitor, owner, scripts):
    page = visitor(java_script_enabled=scripts)
    page.goto("/admin/resources?q=weather%20%26%20wind")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_label("Name")).to_be_focused()
    sign_in(page, f"  {owner} ")
    is_in(page, owner)
    assert page.url == f"{portal.origin}/admin/resources?q=weather%20%26%20wind"


def test_a_wrong_password_says_so_and_keeps_the_name_alone(visitor, owner, scripts):
    page = visitor(java_script_enabled=scripts)
    page.goto("/admin/resources")
    for name in [owner, "Nobody of this name"]:
        sign_in(page, name, WRONG)
        expect(page.get_by_role("alert")).to_have_text("This name and password do not match.")
        expect(page.get_by_label("Name")).to_have_value(name)
        expect(page.get_by_label("Password")).to_have_value("")
        expect(page.get_by_label("Password")).to_be_focused()
        assert WRONG not in page.content() and "password" not in page.url
    sign_in(page, owner)
    is_in(page, owner)
    assert page.url.endswith("/admin/resources"), "it is known still where they wanted to go"


def test_who_guesses_waits_and_nobody_else_in_the_room_does(portal, visitor, owner, scripts):
    page = visitor(java_script_enabled=scripts)
    page.goto("/admin")
    for _ in range(GUESSES):
        sign_in(page, owner, WRONG)
        expect(page.get_by_role("alert")).to_have_text("This name and password do not match.")
    sign_in(page, owner)
    expect(page.get_by_role("alert")).to_have_text(
        re.compile(r"^There were too many wrong attempts; the next is taken in (10|[2-9]) minutes\.$")
    )
    expect(page.get_by_label("Name")).to_have_value(owner)
    expect(page.get_by_label("Password")).to_have_value("")

    # From the same address: somebody else, and the owner in a browser of their own.
    neighbour = f"Bob {next(NUMBERS)}"
    portal.signed_in(neighbour)
    other = visitor(java_script_enabled=scripts)
    other.goto("/admin")
    sign_in(other, neighbour)
    is_in(other, neighbour)
    own = visitor(storage_state=portal.signed_in(owner), java_script_enabled=scripts)
    own.goto("/admin")
    sign_out(own)
    sign_in(own, owner)
    is_in(own, owner)


def test_an_administrator_finds_who_guessed_and_whether_it_worked(portal, visitor, ada, owner, scripts):
    guesser = visitor(java_script_enabled=scripts)
    guesser.goto("/admin")
    for name in [owner, owner, "no owner's name"]:
        sign_in(guesser, name, WRONG)
        expect(guesser.get_by_role("alert")).to_have_text("This name and password do not match.")
    sign_in(guesser, owner)
    is_in(guesser, owner)

    page = visitor(storage_state=portal.signed_in("ada"), java_script_enabled=scripts)
    page.goto("/admin/audit")
    tabs = page.get_by_role("navigation", name="Audit")
    expect(tabs.get_by_role("link", name="Changes")).to_have_attribute("aria-current", "page")
    tabs.get_by_role("link", name="Sign-ins").click()
    page.get_by_label("Account").select_option(label=owner)
    page.get_by_label("Result").select_option(label="Worked")
    page.get_by_role("button", name="Show", exact=True).click()
    worked = page.get_by_role("row", name="signed in with a password")
    expect(worked).to_contain_text(owner)
    expect(worked).to_contain_text("2 attempts from there failed in the same hour")
    page.get_by_label("Result").select_option(label="Failed")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("row", name="wrong password")).to_contain_text(owner)
    expect(page.get_by_label("Account").locator("option:checked")).to_have_text(owner)
    page.get_by_role("link", name="Show all").click()
    assert "no owner's name" not in page.content(), "what was typed is not kept"

    guesser.goto("/admin/account")
    card = guesser.locator("#sign-ins")
    expect(card).to_contain_text("from 127.0.0.1 (signed in with a password)")
    expect(card).to_contain_text("2 attempts to sign in as you failed in the last 30 days.")
    card.get_by_role("link", name="Sign-ins").click()
    expect(guesser.get_by_role("row", name="wrong password")).to_be_visible()
    expect(guesser.get_by_label("Account")).to_have_count(0)


def test_after_signing_out_nothing_private_is_left_in_the_browser(portal, visitor, owner, scripts):
    page = visitor(java_script_enabled=scripts)
    page.goto("/admin")
    sign_in(page, owner)
    private = page.goto("/admin/account")
    assert private.headers["cache-control"] == "no-store"
    assert page.request.get("/admin/sign-out").status == 405, "a link elsewhere cannot sign anybody out"
    is_in(page, owner)

    sign_out(page)
    for _ in range(2):
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert owner not in page.content()
    assert page.context.cookies()[0]["name"] == "ai-proxy-browser", "by which guessing elsewhere does not keep them out"
    assert len(page.context.cookies()) == 1
    is_out(page)


def test_a_new_password_signs_the_other_browser_out(portal, visitor, owner, scripts):
    page, elsewhere = visitor(java_script_enabled=scripts), visitor(java_script_enabled=scripts)
    for browser in [page, elsewhere]:
        browser.goto("/admin/account")
        sign_in(browser, owner)
        is_in(browser, owner)

    def change(current: str, password: str, again: str) -> None:
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password", exact=True).fill(password)
        page.get_by_label("New password once more").fill(again)
        page.get_by_role("button", name="Change the password").click()

    page.reload()
    # The link that made the account has signed a browser in as well.
    expect(page.get_by_text(f"You are signed in, as {owner}, in 2 other browsers.")).to_be_visible()
    for typed, problem in [
        ((WRONG, NEW, NEW), "Current password is not right."),
        ((PASSWORD, "short", "short"), "New password must have at least 12 characters."),
        ((PASSWORD, NEW, NEW + "s"), "New password once more is not the same."),
    ]:
        change(*typed)
        expect(page.get_by_text(problem)).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    elsewhere.reload()
    is_in(elsewhere, owner)

    change(PASSWORD, NEW, NEW)
    expect(page.get_by_role("status")).to_have_text("Your password is changed. 2 other browsers are signed out.")
    is_out(elsewhere)
    sign_in(elsewhere, owner, PASSWORD)
    expect(elsewhere.get_by_role("alert")).to_have_text("This name and password do not match.")
    sign_in(elsewhere, owner, NEW)
    is_in(elsewhere, owner)

    page.reload()
    page.get_by_role("button", name="Sign out there").click()
    expect(page.get_by_role("status")).to_have_text("One other browser is signed out.")
    expect(page.get_by_text("You are signed in nowhere else.")).to_be_visible()
    is_out(elsewhere)
    page.goto("/admin")
    is_in(page, owner)


def test_a_link_of_the_command_line_gives_a_new_password_once(portal, visitor, owner, scripts):
    before, stranger = visitor(storage_state=portal.signed_in(owner)), visitor(java_script_enabled=scripts)
    void = link_of(portal, "reset", owner)
    link = link_of(portal, "reset", owner)
    page = visitor(java_script_enabled=scripts)
    page.goto(void)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link is over")
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Welcome, {owner}")
    choose_password(page, "short")
    expect(page.get_by_text("Password must have at least 12 characters.")).to_be_visible()
    choose_password(page, NEW)
    is_in(page, owner)
    is_out(before)

    stranger.goto(link)
    expect(stranger.get_by_role("heading", level=1)).to_have_text("This link is over")
    expect(stranger.get_by_text("It was used already, or its time has passed.")).to_be_visible()
    stranger.get_by_role("link", name="Sign in").click()
    sign_in(stranger, owner, NEW)
    is_in(stranger, owner)


def test_a_link_whose_hour_has_passed_says_so(portal, visitor, owner, scripts):
    link = link_of(portal, "reset", owner)
    page = visitor(java_script_enabled=scripts)
    page.goto(link)
    with sqlite3.connect(portal.data / "ai-proxy.db") as store:
        hour = store.execute("update setup_link set expires_at = expires_at - 3600000 where used_at is null")
        assert hour.rowcount == 1
    choose_password(page, NEW)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link is over")
    page.goto("/admin/sign-in")
    sign_in(page, owner)
    is_in(page, owner)


def test_who_is_locked_out_becomes_an_administrator_by_a_link_of_the_command_line(portal, visitor, ada, scripts):
    link = link_of(portal, "setup-link")
    page = visitor(java_script_enabled=scripts)
    page.goto(link)
    page.get_by_label("Name").fill("ada")
    choose_password(page)
    expect(page.get_by_text("Name is another owner's.")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("ada")
    name = f"Root {scripts}"
    page.get_by_label("Name").fill(name)
    choose_password(page)
    is_in(page, name)
    page.goto("/admin/owners")
    expect(page.get_by_role("row", name=name)).to_contain_text("Administrator")
    assert visitor().goto(link).status == 410
