"""Every page there is, and how somebody comes to it."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from demo import EVENT, NEXT, PEOPLE, SHARED_CODE, STAYS, Demo
from playwright.sync_api import Page, Response
from portal import ADA

GRACE = "grace"
"""An owner who has nothing yet, and is no administrator."""


@dataclass(frozen=True)
class Place:
    """A page as one of its visitors sees it."""

    name: str
    route: str
    """The path as `routes.rs` has it."""
    who: str | None = ADA
    ids: Callable[[Demo], dict[str, str]] = lambda _: {}
    """What stands for its `{…}`."""
    cookies: Callable[[Demo], dict[str, str]] = lambda _: {}
    """What the browser holds beside the sign-in."""
    query: str = ""
    status: int = 200
    then: Callable[[Page, Demo], None] | None = field(default=None, compare=False)
    """What is done there to see what is meant: it ends on another page."""

    def open(self, page: Page, demo: Demo) -> Response:
        """Goes there; what was answered."""
        answers: list[Response] = []

        def heard(answer: Response) -> None:
            if answer.request.is_navigation_request() and not 300 <= answer.status < 400:
                answers.append(answer)

        cookies = self.cookies(demo).items()
        page.context.add_cookies([{"name": name, "value": value, "url": demo.portal.origin} for name, value in cookies])
        page.on("response", heard)
        page.goto(self.route.format(**self.ids(demo)) + self.query)
        if self.then:
            self.then(page, demo)
            page.wait_for_load_state()
        page.remove_listener("response", heard)
        return answers[-1]


def event(name: str) -> Callable[[Demo], dict[str, str]]:
    return lambda demo: {"id": demo.events[name]}


def person(name: str) -> Callable[[Demo], dict[str, str]]:
    return lambda demo: {"id": demo.events[EVENT], "attendee": demo.attendees[name]}


def resource(name: str) -> Callable[[Demo], dict[str, str]]:
    return lambda demo: {"id": demo.resources[name]}


def sends(button: str, **fields: str) -> Callable[[Page, Demo], None]:
    """Fills a form in, as badly as that may be, and sends it."""

    def send(page: Page, _: Demo) -> None:
        for label, text in fields.items():
            page.locator(f"#{label}").fill(text)
        form = page.locator("main form").filter(has=page.get_by_role("button", name=button, exact=True))
        form.evaluate("form => { form.noValidate = true }")
        with page.expect_navigation():
            form.get_by_role("button", name=button, exact=True).click()

    return send


def claims(code: Callable[[Demo], str]) -> Callable[[Page, Demo], None]:
    return lambda page, demo: sends("Open my page", code=code(demo))(page, demo)


def joins(name: str, code: str = SHARED_CODE, is_me: bool = False) -> Callable[[Page, Demo], None]:
    """With the shared code, on the page of the event."""

    def join(page: Page, demo: Demo) -> None:
        sends("Join", code=code, name=name)(page, demo)
        if is_me:
            page.get_by_role("button", name="Yes, that is me").click()

    return join


def presses(button: str) -> Callable[[Page, Demo], None]:
    def press(page: Page, _: Demo) -> None:
        with page.expect_navigation():
            page.get_by_role("button", name=button, exact=True).click()

    return press


def authorizes() -> str:
    """The query with which an editor sends its person here."""
    held = json.dumps({"n": "Editor", "r": ["http://localhost/callback"]}, separators=(",", ":"))
    client = "aipx_c_" + base64.urlsafe_b64encode(held.encode()).decode().rstrip("=")
    challenge = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    return "?" + urlencode(
        {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": "http://localhost:33418/callback",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
    )


def with_a_key(page: Page, demo: Demo) -> None:
    sends("Continue", given=demo.keys[0])(page, demo)


def tries(tool: str, **arguments: str) -> Callable[[Page, Demo], None]:
    """Calls a tool from the page."""

    def call(page: Page, _: Demo) -> None:
        form = page.locator("details", has=page.get_by_text(tool, exact=True))
        form.locator("summary").click()
        for name, typed in arguments.items():
            form.get_by_label(name).fill(typed)
        with page.expect_navigation():
            form.get_by_role("button", name=f"Call {tool}").click()

    return call


def asks_the_server(page: Page, _: Demo) -> None:
    page.get_by_role("button", name="Test connection").click()
    page.locator("#outcome section").wait_for()


def opens(folded: str) -> Callable[[Page, Demo], None]:
    return lambda page, _: page.locator(folded).evaluate("details => { details.open = true }")


def makes_cards(page: Page, _: Demo) -> None:
    page.get_by_role("link", name="Replace").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Replace").click()


SIGN_INS = "/admin/audit/sign-ins"
def signed_out(then: Callable[[Page, Demo], None]) -> Callable[[Page, Demo], None]:
    """What is done once the sign-in has ended elsewhere."""

    def do(page: Page, demo: Demo) -> None:
        page.context.clear_cookies(name="ai-proxy-session")
        then(page, demo)

    return do


ATTENDEES = "/event/{id}"
RESOURCES, EVENTS, ONE = "/admin/resources", "/admin/events", "/admin/events/{id}"

PLACES = [
    Place("front", "/", who=None),
    Place("front-wrong", "/", who=None, then=sends("Continue", given="AAAA-AAAA-AAAA"), status=422),
    Place("claim", "/claim", who=None),
    Place("claim-wrong", "/claim", who=None, then=claims(lambda _: "AAAA-AAAA-AAAA"), status=422),
    Place("claim-ended", "/claim", who=None, then=claims(lambda demo: demo.ended_code), status=410),
    Place("attendee-event", ATTENDEES, who=None, ids=event(EVENT)),
    Place("attendee-event-wrong", ATTENDEES, who=None, ids=event(EVENT), then=joins(""), status=422),
    Place("attendee-event-before", ATTENDEES, who=None, ids=event(NEXT)),
    Place("attendee-is-that-you", ATTENDEES, who=None, ids=event(EVENT), then=joins(STAYS), status=409),
    Place("attendee-named", ATTENDEES, who=None, ids=event(EVENT), then=joins(STAYS, is_me=True)),
    Place("person", ATTENDEES, who=None, ids=event(EVENT), cookies=lambda demo: demo.person_cookies),
    Place("person-waiting", ATTENDEES, who=None, ids=event(EVENT), cookies=lambda demo: demo.person_cookies, query="?test"),
    Place("person-new-key", f"{ATTENDEES}/key", who=None, ids=event(EVENT), cookies=lambda demo: demo.person_cookies),
    Place("person-sign-out", f"{ATTENDEES}/sign-out", who=None, ids=event(EVENT), cookies=lambda demo: demo.person_cookies),
    Place("person-continue", f"{ATTENDEES}/continue", who=None, ids=event(EVENT), cookies=lambda demo: demo.person_cookies),
    Place(
        "person-try",
        f"{ATTENDEES}/try/{{deployment}}",
        who=None,
        ids=lambda demo: event(EVENT)(demo) | {"deployment": "weather"},
        cookies=lambda demo: demo.person_cookies,
    ),
    Place(
        "person-tried",
        f"{ATTENDEES}/try/{{deployment}}",
        who=None,
        ids=lambda demo: event(EVENT)(demo) | {"deployment": "weather"},
        cookies=lambda demo: demo.person_cookies,
        then=tries("current_weather", city="Oslo"),
    ),
    Place(
        "person-continue-code",
        ATTENDEES,
        who=None,
        ids=event(EVENT),
        cookies=lambda demo: demo.person_cookies,
        then=presses("Continue on your computer"),
    ),
    Place("authorize", "/authorize", who=None, query=authorizes()),
    Place("authorize-wrong", "/authorize", who=None, query=authorizes(), then=sends("Continue", given="?"), status=422),
    Place("authorize-allow", "/authorize", who=None, query=authorizes(), then=with_a_key),
    Place("authorize-unknown", "/authorize", who=None, query="?client_id=x", status=400),
    Place("sign-in", "/admin/sign-in", who=None),
    Place("sign-in-wrong", "/admin/sign-in", who=None, then=sends("Sign in", name="ada", password="?"), status=422),
    Place("set-up", "/admin/setup/{token}", who=None, ids=lambda demo: {"token": demo.invitation}),
    Place("set-up-over", "/admin/setup/{token}", who=None, ids=lambda _: {"token": "used"}, status=410),
    Place("home", "/admin"),
    Place("home-empty", "/admin", who=GRACE),
    Place("resources", RESOURCES),
    Place("resources-empty", RESOURCES, who=GRACE),
    Place("resources-none-found", RESOURCES, query="?q=nothing"),
    Place("resource-new", f"{RESOURCES}/new"),
    Place("resource-refused", f"{RESOURCES}/new", then=sends("Save", endpoint="ftp://x"), status=422),
    Place("resource", f"{RESOURCES}/{{id}}", ids=resource("Weather")),
    Place("resource-tested", f"{RESOURCES}/{{id}}", ids=resource("Weather"), then=asks_the_server),
    Place("resource-duplicate", f"{RESOURCES}/{{id}}/duplicate", ids=resource("Weather")),
    Place("resource-delete", f"{RESOURCES}/{{id}}/delete", ids=resource("Library search")),
    Place("resource-in-use", f"{RESOURCES}/{{id}}/delete", ids=resource("Weather")),
    Place("events", EVENTS),
    Place("events-empty", EVENTS, who=GRACE),
    Place("events-none-found", EVENTS, query="?q=nothing"),
    Place("event-new", f"{EVENTS}/new"),
    Place("event-refused", f"{EVENTS}/new", then=sends("Save", time_zone="Mars"), status=422),
    Place("event", ONE, ids=event(EVENT)),
    Place("event-duplicate", f"{ONE}/duplicate", ids=event(EVENT)),
    Place("event-delete", f"{ONE}/delete", ids=event(EVENT)),
    Place("attendees", f"{ONE}/attendees", ids=event(EVENT)),
    Place("attendees-empty", f"{ONE}/attendees", ids=event(NEXT)),
    Place("attendees-refused", f"{ONE}/attendees", ids=event(NEXT), then=sends("Add", count="many"), status=422),
    Place("attendees-deleted", f"{ONE}/attendees", ids=event(EVENT), then=opens("#deleted")),
    Place("attendee-by-code", f"{ONE}/attendees/{{attendee}}", ids=person(STAYS)),
    Place("attendee-by-code-delete", f"{ONE}/attendees/{{attendee}}/delete", ids=person(STAYS)),
    Place("cards", f"{ONE}/attendees", ids=event(EVENT), then=makes_cards),
    Place("attendee", f"{ONE}/attendees/{{attendee}}", ids=person(PEOPLE[0])),
    Place("cards-replace", f"{ONE}/attendees/cards", ids=event(EVENT)),
    Place("attendee-new-key", f"{ONE}/attendees/{{attendee}}/key", ids=person(PEOPLE[0])),
    Place("attendee-delete", f"{ONE}/attendees/{{attendee}}/delete", ids=person(PEOPLE[0])),
    Place("room", f"{ONE}/room", ids=event(EVENT)),
    Place("room-before", f"{ONE}/room", ids=event(NEXT)),
    Place("preflight", f"{ONE}/preflight", ids=event(EVENT)),
    Place("preflight-before", f"{ONE}/preflight", ids=event(NEXT)),
    Place("metrics", f"{ONE}/metrics", ids=event(EVENT)),
    Place("metrics-empty", f"{ONE}/metrics", ids=event(NEXT)),
    Place("reports", "/admin/reports"),
    Place("reports-empty", "/admin/reports", who=GRACE),
    Place("backup", "/admin/backup"),
    Place("backup-refused", "/admin/backup", then=sends("Download", passphrase="short", again="else"), status=422),
    Place("restore", "/admin/backup/restore/{id}", ids=lambda demo: {"id": demo.restore_id}),
    Place("owners", "/admin/owners"),
    Place("owners-forbidden", "/admin/owners", who=GRACE, status=403),
    Place("owner-role", "/admin/owners/{id}/role", ids=lambda demo: {"id": demo.grace_id}),
    Place("owner-deactivate", "/admin/owners/{id}/deactivate", ids=lambda demo: {"id": demo.grace_id}),
    Place("audit", "/admin/audit"),
    Place("sign-ins", SIGN_INS),
    Place("sign-ins-own", SIGN_INS, who=GRACE),
    Place("sign-ins-none-found", SIGN_INS, query="?who=nothing"),
    Place("signed-out", "/admin/tokens", then=signed_out(sends("Make the token", name="A script")), status=403),
    Place(
        "signed-out-button",
        f"{RESOURCES}/{{id}}/delete",
        ids=resource("Library search"),
        then=signed_out(sends("Delete Library search")),
        status=403,
    ),
    Place("held", "/admin/held/{id}", ids=lambda demo: {"id": demo.held_id}, cookies=lambda demo: demo.held_cookies),
    Place("held-gone", "/admin/held/{id}", ids=lambda _: {"id": "sent"}, status=404),
    Place("held-anothers", "/admin/held/{id}", who=GRACE, ids=lambda demo: {"id": demo.held_id}, status=404),
    Place("account", "/admin/account"),
    Place("account-refused", "/admin/account", then=sends("Change the password", password="short"), status=422),
    Place("tokens", "/admin/tokens"),
    Place("tokens-empty", "/admin/tokens", who=GRACE),
    Place("token-revoke", "/admin/tokens/{id}/revoke", ids=lambda demo: {"id": demo.token_id}),
    Place("capacity", "/admin/capacity"),
    Place("capacity-refused", "/admin/capacity", query="?attendees=many&prompts=1&tokens=1&requests=1&hours=1", status=422),
    Place("not-found", "/admin/nowhere", status=404),
]
