"""What administrators do with owners, that owners see nothing of each other's, and what the audit trail tells of it."""

import re

import pytest
from journeys import changes, told
from people import asked, choose_password, is_in, is_out, shown_once, sign_in
from playwright.sync_api import Page, expect
from portal import PASSWORD, Portal
from proxy import EVENT, ai_proxy, toml, workshop

OVER = "This link is over"


@pytest.fixture
def admin(portal, visitor, scripts) -> Page:
    return visitor(storage_state=portal.signed_in("ada"), java_script_enabled=scripts)


def invite(admin: Page, name: str) -> str:
    """The link that is shown for it."""
    admin.goto("/admin/owners")
    admin.get_by_label("Name").fill(name)
    admin.get_by_role("button", name="Invite").click()
    told(admin, f"{name} is invited. Hand this link over yourself")
    return shown_once(admin)


def test_an_owner_is_invited_made_administrator_and_put_out_and_let_in_again(portal, visitor, admin, scripts):
    name = f"Grace {scripts}"
    link = invite(admin, name)
    assert link.startswith(f"{portal.origin}/admin/setup/")
    admin.reload()
    assert link not in admin.content(), "it is shown once"
    row = admin.get_by_role("row", name=name)
    expect(row).to_contain_text("no password yet")
    admin.get_by_label("Name").fill(name)
    admin.get_by_role("button", name="Invite").click()
    expect(admin.get_by_text("Name is another owner's.")).to_be_visible()
    expect(admin.get_by_label("Name")).to_have_value(name)

    grace = visitor(java_script_enabled=scripts)
    grace.goto(link)
    choose_password(grace)
    is_in(grace, name)
    for page in [visitor(), visitor(storage_state=portal.signed_in("ada"))]:
        page.goto(link)
        expect(page.get_by_role("heading", level=1)).to_have_text(OVER)
    expect(grace.get_by_role("link", name="Owners")).to_have_count(0)
    assert grace.goto("/admin/owners").status == 403
    expect(grace.get_by_text("This page is for administrators. Ask one of them.")).to_be_visible()

    admin.goto("/admin/owners")
    admin.get_by_role("link", name=f"Make administrator: {name}").click()
    admin.get_by_role("button", name="Make administrator", exact=True).click()
    told(admin, f"{name} is an administrator now.")
    grace.goto("/admin")
    grace.get_by_role("link", name="Owners").click()
    expect(grace.get_by_role("row", name=name)).to_contain_text("Administrator")
    admin.get_by_role("link", name=f"Make plain owner: {name}").click()
    admin.get_by_role("button", name="Make plain owner", exact=True).click()
    told(admin, f"{name} is no administrator any more.")
    assert grace.goto("/admin/owners").status == 403

    admin.get_by_role("link", name=f"Deactivate {name}").click()
    title = f"Deactivate {name}?"
    asked(admin, title, scripts).get_by_role("link", name="Cancel").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text("Owners")
    expect(admin.get_by_role("dialog")).to_have_count(0)
    expect(row).to_contain_text("active")
    grace.goto("/admin")
    is_in(grace, name)
    admin.get_by_role("link", name=f"Deactivate {name}").click()
    asked(admin, title, scripts).get_by_role("button", name=f"Deactivate {name}").click()
    told(admin, f"{name} is deactivated and signed out everywhere.")
    expect(row).to_contain_text("deactivated")
    is_out(grace)
    sign_in(grace, name)
    expect(grace.get_by_role("alert")).to_have_text("This name and password do not match.")

    admin.get_by_role("button", name=f"Reactivate {name}").click()
    told(admin, f"{name} is active again and can sign in.")
    is_out(grace)
    sign_in(grace, name)
    is_in(grace, name)

    assert changes(admin)[:6] == [
        f"reactivated {name}",
        f"deactivated {name}",
        f"made plain owner {name}",
        f"made administrator {name}",
        f"set password {name}",
        f"invited {name}",
    ]
    who = admin.get_by_role("row").locator("td:nth-child(2)").all_inner_texts()
    assert who[:6] == ["ada"] * 4 + [name, "ada"]
    when = admin.locator("tbody time").first.get_attribute("datetime")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", when), when
    for secret in [link.rsplit("/", 1)[1], PASSWORD]:
        assert secret not in admin.content()


def test_a_new_link_voids_the_one_before_and_the_password_stays_until_it_is_used(visitor, admin, scripts):
    name = f"Linus {scripts}"
    first = invite(admin, name)
    admin.get_by_role("button", name=f"Make a new link for {name}").click()
    told(admin, f"{name} has a new link; earlier ones stopped working.")
    second = shown_once(admin)
    page = visitor(java_script_enabled=scripts)
    page.goto(first)
    expect(page.get_by_role("heading", level=1)).to_have_text(OVER)
    page.goto(second)
    choose_password(page)
    is_in(page, name)
    admin.get_by_role("button", name=f"Make a new link for {name}").click()
    told(admin, f"{name} has a new link; earlier ones stopped working.")
    page.goto("/admin")
    is_in(page, name)


def test_the_last_administrator_stays_one(portal, admin, scripts):
    admin.goto("/admin/owners")
    expect(admin.get_by_role("link", name="Deactivate ada")).to_have_count(0)
    admin.get_by_role("link", name="Make plain owner: ada").click()
    admin.get_by_role("button", name="Make plain owner", exact=True).click()
    expect(admin.get_by_role("heading", level=1)).to_have_text("Not done")
    expect(admin.get_by_text("nobody else could manage owners")).to_be_visible()
    admin.goto("/admin/owners")
    expect(admin.get_by_role("row", name="ada you")).to_contain_text("Administrator")


TABS = ["", "/attendees", "/metrics", "/room", "/preflight", "/duplicate", "/delete"]
TABLES = ["over-time", "resources", "operations", "attendees"]


def workshop_of(portal: Portal, owner: str, mark: str) -> None:
    """The same names as any other owner's, and a mark in all else."""
    weather = {"endpoint": f"http://127.0.0.1:9/{mark}/mcp", "key": f"key-{mark}", "name": f"Rain in {mark}"}
    text = workshop({"weather": weather}).replace("# Welcome", f"# Welcome to {mark}")
    file, names = portal.data / f"{owner}.toml", portal.data / f"{owner}.txt"
    file.write_text(text)
    names.write_text(f"Zoë of {mark}\nAda of {mark}\n")
    ai_proxy(portal.data, "apply", str(file), "--owner", owner)
    ai_proxy(portal.data, "attendee", "issue", "--owner", owner, "--event", EVENT, "--names", str(names))


def pages_of(page: Page) -> tuple[str, list[str]]:
    """The addresses of one owner's event, and of the resource and the attendees in it."""
    page.goto("/admin/events")
    expect(page.get_by_role("rowheader", name=EVENT)).to_have_count(1)
    event = page.get_by_role("link", name=EVENT, exact=True).first.get_attribute("href")
    page.goto("/admin/resources")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    resource = page.get_by_role("rowheader").get_by_role("link").get_attribute("href")
    page.goto(f"{event}/attendees")
    attendees = page.get_by_role("rowheader").get_by_role("link").all()
    return event, [resource, *(link.get_attribute("href") for link in attendees)]


def test_two_owners_use_the_same_names_and_see_nothing_of_each_others(portal, visitor, ada):
    grace = visitor(storage_state=portal.signed_in("grace"))
    # The command line knows the first administrator as `local`.
    workshop_of(portal, "local", "Utrecht")
    workshop_of(portal, "grace", "Genoa")
    for page, mark, stranger, others in [(ada, "Utrecht", grace, "Genoa"), (grace, "Genoa", ada, "Utrecht")]:
        event, parts = pages_of(page)
        assert len(parts) == 3
        others_event, others_parts = pages_of(stranger)
        paths = ["/admin", "/admin/events", "/admin/resources", *parts, *(event + tab for tab in TABS)]
        files = [f"{event}/metrics/{table}.csv" for table in TABLES]
        if page is grace:
            # There an administrator sees what all events came to, and who changed what.
            paths += ["/admin/reports", "/admin/audit", "/admin/tokens", "/admin/account", "/admin/backup"]
            files += ["/admin/reports/events.csv"]
        seen = ""
        for path in paths:
            answer = page.goto(path)
            assert answer.status == 200, path
            seen += answer.text()
        for path in files:
            answer = page.request.get(path)
            assert answer.status == 200, path
            seen += answer.text()
        assert seen.count(mark) > 10
        for secret in [others, *(path.rsplit("/", 1)[1] for path in [others_event, *others_parts])]:
            assert secret not in seen
        for path in [*(others_event + tab for tab in TABS), *others_parts]:
            assert page.goto(path).status == 404, path
            expect(page.get_by_role("heading", level=1)).to_have_text("Not found")


def test_the_audit_trail_tells_who_did_what_and_holds_no_key(portal, visitor, admin, scripts):
    name, key, code = f"Margaret {scripts}", f"backend-key-{scripts}-0123456789", f"Code{scripts}2026"
    page = visitor(storage_state=portal.signed_in(name), java_script_enabled=scripts)
    event = {"name": "Audited", "description": "# Hello", "organizer_name": name, "organizer_email": "m@example.org"}
    resource = toml("resource", deployment="audited", endpoint="http://127.0.0.1:9/mcp", key=key)
    file = portal.data / "audited.toml"
    file.write_text(resource + toml("event", **event, resources=["audited"], shared_code=code))
    ai_proxy(portal.data, "apply", str(file), "--owner", name)
    page.goto("/admin/events")
    page.get_by_role("link", name="Audited", exact=True).first.click()
    page.get_by_role("navigation", name="This event").get_by_role("link", name="Attendees").click()
    page.get_by_label("Names", exact=True).fill("Zoë")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("link", name="Zoë").click()
    page.get_by_role("link", name="New key").click()
    page.get_by_role("button", name="Make a new key").click()
    attendees_key = shown_once(page)

    for reader in [page, admin]:
        said = changes(reader)
        assert said[0] == "new key issued:1 of Audited", said[:3]
        assert {"created Audited", "created audited", f"set password {name}"} <= set(said)
        row = reader.locator("tbody tr").first
        expect(row.locator("td").nth(1)).to_have_text(name)
        expect(row.locator("time")).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT"))
        for secret in [key, code, attendees_key, PASSWORD]:
            assert secret not in reader.content()
    own = page.locator("tbody td:nth-child(2)").all_inner_texts()
    assert set(own) <= {name, "ada"}, "others' doings are not theirs to see"
