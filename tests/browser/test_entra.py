"""Signing in with Microsoft, at the identity provider of `tests/entra`."""

from collections.abc import Iterator

import pytest
from journeys import changes
from people import is_in, is_out, shown_once, sign_out
from playwright.sync_api import Page, expect
from portal import Portal
from programs import ROOT, Program, environment
from providers import provider
from proxy import BINARY


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    """Those for the provider, which lasts as long as the tests: Ada Lovelace and Eve can sign in there."""
    with provider("entra", ["AUTHORITY", "TENANTS", "CLIENT_ID", "CLIENT_SECRET", "OWNERS"]) as variables:
        yield variables


@pytest.fixture(scope="module")
def portal(settings, tmp_path_factory) -> Iterator[Portal]:
    with Portal(tmp_path_factory.mktemp("entra"), env=environment(**settings)) as running:
        yield running


def at_microsoft(page: Page, person: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Pick an account")
    page.get_by_role("link", name=person, exact=True).click()


def test_whom_the_settings_name_becomes_an_owner_and_goes_where_they_wanted(portal, somebody):
    for _ in range(2):
        page = somebody()
        page.goto("/admin/reports?q=a%26b")
        page.get_by_role("link", name="Sign in with Microsoft").click()
        at_microsoft(page, "Ada Lovelace")
        is_in(page, "Ada Lovelace")
        assert page.url == f"{portal.origin}/admin/reports?q=a%26b"
    assert "became owner Ada Lovelace" in changes(page)[-1]
    sign_out(page)
    is_out(page)


def test_whoever_is_invited_takes_the_link_with_their_account(portal, somebody, request, settings):
    """Eve is refused, is invited, and from then on signs in by her account."""
    page = somebody()
    if "no-scripts" not in request.node.name:
        page.goto("/admin")
        page.get_by_role("link", name="Sign in with Microsoft").click()
        at_microsoft(page, "Eve")
        expect(page.get_by_role("heading", level=1)).to_have_text("You are not an owner here")
        expect(page.get_by_text("Ask an administrator of this proxy for an invitation")).to_be_visible()
        account = page.locator("#account").inner_text()
        assert account.startswith(settings["AI_PROXY_ENTRA_TENANTS"] + "/")
        is_out(page)

    admin = somebody()
    admin.context.add_cookies(portal.signed_in("ada")["cookies"])
    admin.goto("/admin/owners")
    if admin.get_by_role("row", name="Eve of Maths").count():
        admin.get_by_role("button", name="Make a new link for Eve of Maths").click()
    else:
        admin.get_by_label("Name").fill("Eve of Maths")
        admin.get_by_role("button", name="Invite").click()
    link = shown_once(admin)

    page.goto(link)
    page.get_by_role("link", name="Sign in with Microsoft instead").click()
    at_microsoft(page, "Eve")
    is_in(page, "Eve of Maths")
    second = somebody()
    second.goto(link)
    expect(second.get_by_role("heading", level=1)).to_have_text("This link is over")
    second.goto("/admin")
    second.get_by_role("link", name="Sign in with Microsoft").click()
    at_microsoft(second, "Eve")
    is_in(second, "Eve of Maths")
    second.goto("/admin/account")
    expect(second.get_by_text("You sign in with your Microsoft account.")).to_be_visible()
    admin.reload()
    expect(admin.get_by_role("row", name="Eve of Maths")).to_contain_text("signs in with Microsoft")


def test_who_has_no_password_signs_in_with_microsoft_again_to_make_a_token(somebody, request):
    page, name = somebody(), f"A token, {request.node.callspec.id}"
    page.goto("/admin/tokens")
    page.get_by_role("link", name="Sign in with Microsoft").click()
    at_microsoft(page, "Ada Lovelace")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm it is you")
    expect(page.get_by_label("Your password")).to_have_count(0)
    page.get_by_role("link", name="Continue to Microsoft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in again")
    page.get_by_role("link", name="Eve", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not confirmed")
    page.get_by_role("link", name="Back to the form").click()
    page.get_by_role("button", name="Send it now").click()
    page.get_by_role("link", name="Continue to Microsoft").click()
    page.get_by_role("link", name="Ada Lovelace", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A form that waits")
    page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("status")).to_contain_text(f"The token {name} is made.")


def test_where_passwords_are_switched_off_there_is_no_form_for_one(settings, chromium, tmp_path):
    env = environment(**settings, AI_PROXY_PASSWORD_SIGN_IN="false")
    with Portal(tmp_path, env=env) as portal:
        page = chromium.new_context(base_url=portal.origin, locale="en-GB").new_page()
        page.goto("/admin")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        expect(page.get_by_label("Password")).to_have_count(0)
        page.get_by_role("link", name="Sign in with Microsoft").click()
        at_microsoft(page, "Ada Lovelace")
        is_in(page, "Ada Lovelace")
        page.context.close()


def test_without_microsoft_passwords_cannot_be_switched_off(tmp_path):
    refused = Program(
        "ai-proxy",
        [str(BINARY), "serve", "--data-dir", str(tmp_path), "--listen", "127.0.0.1:0", "--password-sign-in", "false"],
        cwd=ROOT,
        env=environment(),
    )
    with refused:
        refused.says("error: --password-sign-in false would leave nobody a way in: set up signing in with Microsoft")
        assert refused.process.wait(10) == 1
