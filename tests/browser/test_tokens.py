"""API tokens: made on a page, used by programs, and over once they are revoked."""

import httpx
import pytest
from journeys import changes, told
from people import asked, shown_once
from playwright.sync_api import Page, expect
from programs import SECONDS
from proxy import ai_proxy, toml


def make(page: Page, name: str) -> str:
    page.goto("/admin/account")
    page.get_by_role("main").get_by_role("link", name="API tokens").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make the token").click()
    told(page, f"The token {name} is made. Copy it now: it is not shown again.")
    return shown_once(page)


def ask(portal, token: str, path: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(f"{portal.origin}/api/admin/v1{path}", headers=headers, trust_env=False, timeout=SECONDS)


def test_a_token_acts_for_its_owner_until_it_is_revoked(portal, visitor, scripts, tmp_path):
    owner = f"grace {scripts}"
    page = visitor(storage_state=portal.signed_in(owner), java_script_enabled=scripts)
    token = make(page, "CI")
    assert token not in page.url
    page.reload()
    assert token not in page.content(), "it is shown once"
    row = page.get_by_role("row", name="CI")
    expect(row).to_contain_text("never")

    assert ask(portal, token, "/owner").json()["name"] == owner
    event = {"name": "Applied", "description": "# Hello", "organizer_name": "Grace", "organizer_email": "g@example.org"}
    resource = toml("resource", deployment="applied", endpoint="http://127.0.0.1:9/mcp", key="applied-backend-key")
    file = tmp_path / "workshop.toml"
    file.write_text(resource + toml("event", **event, resources=["applied"]))
    # What the environment gives shows in no list of processes.
    ai_proxy(portal.data, "apply", str(file), "--server", portal.origin, AI_PROXY_TOKEN=token)
    assert [one["name"] for one in ask(portal, token, "/events").json()["items"]] == ["Applied"]
    page.goto("/admin/events")
    expect(page.get_by_role("rowheader", name="Applied")).to_have_count(1)
    said = changes(page)
    assert {"created applied", "created Applied"} <= set(said), said
    who = page.locator("tbody td:nth-child(2)").all_inner_texts()
    by_token = who[: said.index("created applied") + 1]
    assert set(by_token) == {f"{owner} (token CI)"}

    page.goto("/admin/tokens")
    expect(row).not_to_contain_text("never")
    page.get_by_role("link", name="Revoke CI").click()
    asked(page, "Revoke CI?", scripts).get_by_role("link", name="Cancel").click()
    assert ask(portal, token, "/owner").status_code == 200
    page.get_by_role("link", name="Revoke CI").click()
    asked(page, "Revoke CI?", scripts).get_by_role("button", name="Revoke CI").click()
    told(page, "The token CI is revoked.")
    expect(page.get_by_text("No tokens yet.")).to_be_visible()
    refused = ask(portal, token, "/owner")
    assert (refused.status_code, refused.headers["www-authenticate"].split(" ")[0]) == (401, "Bearer")
    with pytest.raises(AssertionError, match="token"):
        ai_proxy(portal.data, "apply", str(file), "--server", portal.origin, AI_PROXY_TOKEN=token)
    assert changes(page)[:1] == ["revoked an API token CI"]
    for secret in [token, "applied-backend-key"]:
        assert secret not in page.content()


def test_a_token_is_named_and_lasts_as_it_says(portal, visitor, scripts):
    page = visitor(storage_state=portal.signed_in(f"linus {scripts}"), java_script_enabled=scripts)
    make(page, "Nightly")
    page.get_by_label("Name").fill("Nightly")
    page.get_by_label("Days").fill("soon")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("Days must be a number from 1 to 3650, or empty.")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Nightly")
    expect(page.get_by_label("Days")).to_have_value("soon")
    page.get_by_label("Days").fill("")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("Name is another token's")).to_be_visible()
    page.get_by_label("Name").fill("For ever")
    page.get_by_role("button", name="Make the token").click()
    told(page, "The token For ever is made.")
    expect(page.get_by_role("row", name="For ever")).to_contain_text("until revoked")
