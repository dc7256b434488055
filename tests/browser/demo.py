"""A workshop on its day: two servers, a room of people who claimed their keys, and what they call."""

import html
import re
import sqlite3
import time
from datetime import datetime, timedelta

import httpx
from journeys import comes_to, fares, reach
from portal import ADA, PASSWORD, Portal
from programs import SECONDS, Reach, Server
from proxy import ai_proxy, toml
from wire import ACCEPT, call, http, initialize

EVENT = "MCP workshop"
NEXT = "Agents hackathon"
OVER = "Spring course"
QUIET = "Staff training"
PEOPLE = [
    "Amara Okafor", "Anders Lindqvist", "Beatriz Carvalho", "Chen Wei", "Dario Conti", "Eleni Papadaki",
    "Farid Haddad", "Freya Nilsen", "Gabriel Moreau", "Hana Kobayashi", "Ibrahim Yılmaz", "Jana Nováková",
    "Kofi Mensah", "Léa Dubois", "Mateo Fernández", "Nora Weber", "Oskar Zieliński", "Priya Raman",
    "Quentin Marsh", "Rosa Delgado", "Sami Virtanen", "Tomás Ó Briain", "Uma Krishnan", "Zoë Özdemir",
]
CLAIMED = 18
"""How many of them have claimed their card."""
DESCRIPTION = """\
# Build with MCP

Bring a laptop with **VS Code**. We start at nine with tools, and end with an agent of your own.

| when | what |
| --- | --- |
| 9:00 | tools |
| 13:00 | agents |
"""
SHARED_CODE = "Tools2026"
STAYS, GOES = "Astrid Sommer", "Frieda Winter"
"""Two who join with it; the second is deleted."""
PASSPHRASE = "a dozen purple kites"
CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")
KEY = re.compile(r"\baik_[0-9a-hjkmnp-tv-z]{32}\b")


class Demo:
    """The portal of such a day, filled by its own commands and forms."""

    def __init__(self, portal: Portal, weather: Server, documents: Server, now: datetime, zone: str, **clock: str):
        """`now` is the wall clock in `zone` by the proxy's time; `clock` the variables that make it so for a command."""
        self.portal = portal
        self.weather = weather
        self.documents = documents
        self.servers = [weather, documents]
        self.ada = portal.client(ADA)
        portal.signed_in("grace")
        self._apply(now, zone, clock)
        self.events = self._ids("/admin/events", "/admin/events/")
        self.resources = self._ids("/admin/resources", "/admin/resources/")
        self.room = f"/admin/events/{self.events[EVENT]}"
        self.send(f"{self.room}/attendees", files={"count": (None, "")}, names="\n".join(PEOPLE))
        self.attendees = self._ids(f"{self.room}/attendees", f"{self.room}/attendees/")
        codes = self.codes()
        self.keys = [self.claim(code) for code in codes[:CLAIMED]]
        self.used_code = codes[0]
        self.person_cookies = self._person()

    def furnish(self) -> None:
        """What else there can be to see."""
        self.invitation = self.portal.invitation("linus").rsplit("/", 1)[1]
        self.grace_id = re.search(r'/admin/owners/([^/]+)/deactivate"[^>]*aria-label="Deactivate grace"', self.page("/admin/owners"))[1]
        self.token_id = self._token("A script for the register")
        self.restore_id = self._restore()
        self.held_id, self.held_cookies = self._held()
        over = f"/admin/events/{self.events[OVER]}/attendees"
        self.send(over, files={"count": (None, "1")}, names="")
        self.ended_code = self.codes("new", over)[0]

    def guests(self) -> None:
        """People who join with the shared code, one of whom is deleted; a client of theirs that sends an odd header."""
        for name in (STAYS, GOES):
            answer = self._asks(f"{SHARED_CODE}/{name}", mcp_session_id="odd")
            assert answer.status_code == 200, answer.text
        found = self._ids(f"{self.room}/attendees?q=Winter", f"{self.room}/attendees/")
        self.send(f"{self.room}/attendees/{found[GOES]}/delete")
        self.attendees |= self._ids(f"{self.room}/attendees?q={STAYS}", f"{self.room}/attendees/")

    def damage(self) -> None:
        """A resource whose row is not what the proxy stored."""
        file = self.portal.data / "damaged.toml"
        file.write_text(toml("resource", deployment="archive", name="Archive", endpoint="http://127.0.0.1:9/mcp", key="none yet"))
        ai_proxy(self.portal.data, "apply", str(file))
        with sqlite3.connect(self.portal.data / "ai-proxy.db") as store:
            store.execute("update resource set endpoint_sealed = 'damaged' where deployment = 'archive'")
        store.close()

    def guesses(self) -> None:
        """Somebody tries codes, until the organiser is warned."""
        for guess in range(32):
            self._asks(f"GUESS{guess:03}/Mallory")
        comes_to(True, lambda: "guessing the shared code" in self.page(f"{self.room}/room"), seconds=SECONDS)

    def strangers(self) -> None:
        """Somebody who tries to sign in as Ada and under a name that is no owner's."""
        for name in (ADA, ADA, "Mallory"):
            with httpx.Client(base_url=self.portal.origin, trust_env=False, headers={"origin": self.portal.origin}) as client:
                assert client.post("/admin/sign-in", data={"name": name, "password": "a guess"}).status_code == 422

    def _asks(self, code_and_name: str, **headers: str) -> httpx.Response:
        key = f"{self.events[EVENT]}@{code_and_name}"
        way = reach(self.portal, key, self.weather)
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "guest", "version": "1"}}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
        sent = way.headers | {"accept": ACCEPT} | headers
        return httpx.post(way.url, json=asked, headers=sent, trust_env=False, timeout=SECONDS)

    def _apply(self, now: datetime, zone: str, clock: dict[str, str]) -> None:
        def event(name: str, starts: int, ends: int, **fields: object) -> str:
            start, end = (f"{now + timedelta(hours=hours):%Y-%m-%dT%H:00}" for hours in (starts, ends))
            organizer = {"organizer_name": "Ada Lovelace", "organizer_email": "ada@example.org"}
            fixed = {"description": DESCRIPTION, "start": start, "end": end, "time_zone": zone} | organizer
            return toml("event", name=name, **fixed | fields)

        text = [
            toml("resource", deployment="weather", name="Weather", region="Venue", **self.weather.resource()),
            toml("resource", deployment="documents", name="Handouts", region="West Europe", **self.documents.resource()),
            toml("resource", deployment="search", name="Library search", endpoint="http://127.0.0.1:9/mcp", key="none yet", active=False),
            event(EVENT, -1, 7, resources=["weather", "documents"], daily_request_cap=200, shared_code=SHARED_CODE),
            event(NEXT, 51, 75, resources=["weather", "documents"], time_zone="Europe/Lisbon"),
            event(OVER, -24 * 60, -24 * 55, resources=["documents"]),
            event(QUIET, 24, 32, active=False),
        ]
        file = self.portal.data / "workshop.toml"
        file.write_text("\n".join(text))
        ai_proxy(self.portal.data, "apply", str(file), **clock)

    def page(self, path: str) -> str:
        answer = self.ada.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def send(self, path: str, files: dict | None = None, **fields: str | tuple[str, ...]) -> httpx.Response:
        """Sends a form, as a browser does, and returns the page that comes of it."""
        answer = self.ada.post(path, data=fields, files=files, follow_redirects=True)
        problems = re.findall(r'class="problem"[^>]*>([^<]*)', answer.text)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {problems}"
        return answer

    def _ids(self, path: str, prefix: str) -> dict[str, str]:
        """What a page's rows link to, by name."""
        found = re.findall(rf'<th scope="row"><a href="{prefix}([0-9a-f-]+)">([^<]+)</a>', self.page(path))
        return {html.unescape(name): one for one, name in found}

    def codes(self, whom: str = "new", attendees: str | None = None) -> list[str]:
        """The codes of cards that are made now."""
        attendees = attendees or f"{self.room}/attendees"
        return CODE.findall(re.sub(r"<input[^>]*>", "", self.send(f"{attendees}/cards", whom=whom).text))

    def _person(self) -> dict[str, str]:
        """The cookie of a browser in which somebody has opened their page."""
        origin = self.portal.origin
        with httpx.Client(base_url=origin, trust_env=False, headers={"origin": origin}) as client:
            assert client.post("/claim", data={"code": self.used_code}).status_code == 303
            return {name: value for name, value in client.cookies.items() if name.startswith("ai-proxy-event-")}

    def claim(self, code: str) -> str:
        answer = self.send("/claim", code=code)
        return KEY.search(answer.text)[0]

    def preflight(self) -> None:
        """A run of it, to its end."""
        tries = [("Weather", "current_weather", '{"city": "Oslo"}'), ("Handouts", "", "")]
        ids, tools, arguments = zip(*((self.resources[name], *what) for name, *what in tries))
        self.send(f"{self.room}/preflight", resource=ids, tool=tools, arguments=arguments)
        comes_to(True, lambda: "Last run" in self.page(f"{self.room}/preflight"), seconds=SECONDS)

    def _token(self, name: str) -> str:
        """The id of a token for programs."""
        made = self.send("/admin/tokens", name=name, days="30").text
        return re.search(r"/admin/tokens/([^/]+)/revoke", made)[1]

    def _restore(self) -> str:
        """A backup that is uploaded again: the id of what waits for a word."""
        sealed = {"passphrase": PASSPHRASE, "again": PASSPHRASE, "figures": "on"}
        file = self.ada.post("/admin/backup/file", data=sealed).content
        page = self.send("/admin/backup/restore", files={"file": file}, file_passphrase=PASSPHRASE)
        return page.url.path.rsplit("/", 1)[1]

    def _held(self) -> tuple[str, dict[str, str]]:
        """A form that was sent after signing out: its id, and the cookies by which it is sent."""
        fields = {"name": ADA, "password": PASSWORD}
        origin = self.portal.origin
        with httpx.Client(base_url=origin, trust_env=False, headers={"origin": origin}) as client:
            assert client.post("/admin/sign-in", data=fields).status_code == 303
            client.post("/admin/sign-out")
            answer = client.post("/admin/tokens", data={"name": "A script that waits", "days": "90"})
            cookies = {"ai-proxy-held": client.cookies["ai-proxy-held"]}
        return re.search(r"/admin/held/([0-9a-f]+)", answer.text)[1], cookies

    def calls(self, rounds: int, seconds: float = 0) -> None:
        """Who has a key calls tools, some more than others, spread over that time; some call wrongly, one never rightly."""
        *keys, stuck = self.keys
        comes_to("ok", lambda: fares(self.portal, keys[-1], self.documents))
        began = time.monotonic()
        sessions = [Session(reach(self.portal, key, server)) for key in keys for server in self.servers]
        lost = reach(self.portal, stuck, self.documents)
        for turn in range(rounds):
            for at, session in enumerate(sessions):
                # The first call in every round, the last in every sixth.
                if turn % (1 + at * 6 // len(sessions)) == 0:
                    session.call(turn + at)
            if turn % 10 == 0:
                assert call(http(lost), lost.url, "forgotten", "search", words="agents").status_code == 404
            time.sleep(max(0.0, began + seconds * (turn + 1) / rounds - time.monotonic()))


class Session:
    """What one attendee's client does with one server."""

    TOOLS = {
        "weather": [
            ("forecast", {"city": "Berlin", "days": 3}),
            ("current_weather", {"city": "Lisbon"}),
            ("current_weather", {"city": "Oslo"}),
        ],
        "documents": [
            ("search", {"words": "agents"}),
            ("read_document", {"name": "agenda"}),
            ("list_documents", {}),
        ],
    }

    def __init__(self, way: Reach):
        self._way = way
        self._client = http(way)
        self._id = initialize(self._client, way.url)
        self._tools = next(tools for name, tools in self.TOOLS.items() if f"/{name}/" in way.url)

    def call(self, number: int) -> None:
        tool, arguments = self._tools[number % len(self._tools)]
        # A client that forgot its session now and then: the server refuses.
        session = "forgotten" if number % 17 == 16 else self._id
        answer = call(self._client, self._way.url, session, tool, **arguments)
        assert answer.status_code in (200, 404), answer.text
