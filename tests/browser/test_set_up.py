"""The first start: the console's link makes the administrator, once."""

from playwright.sync_api import expect
from portal import ADA, PASSWORD


def test_the_consoles_link_makes_the_administrator_and_then_is_over(portal, visitor):
    page = visitor()
    link = portal.first_link()
    page.goto(link)
    page.get_by_label("Name").fill(ADA)
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_label("Password once more").fill("short")
    page.get_by_role("button", name="Save and sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(page.get_by_label("Name")).to_have_value(ADA)
    expect(page.get_by_label("Password", exact=True)).to_have_value("")

    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    page.get_by_role("button", name="Save and sign in").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    expect(page.get_by_role("navigation")).to_contain_text(ADA)

    answer = visitor().goto(link)
    assert answer.status == 410
