"""The portal under test, and what its owners do first."""

import re
import time
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from proxy import AiProxy

ADA = "ada"
PASSWORD = "a dozen purple kites"
CONFIRMED = 300
"""Seconds after which an owner shows again who they are: half of what the proxy allows."""


class Portal(AiProxy):
    """`ai-proxy serve`, with its console's set-up link and owners who are signed in."""

    def __init__(self, data: Path, *flags: str, env: dict[str, str] | None = None):
        super().__init__(data, *flags, env=env)
        self._session = cache(self._signed_in)
        self._confirmed: dict[str, float] = {}

    def signed_in(self, name: str) -> dict:
        """An owner's session, as Playwright's `storage_state`, in which they have shown lately who they are."""
        session = self._session(name)
        if time.monotonic() - self._confirmed.setdefault(name, time.monotonic()) > CONFIRMED:
            self.confirm(session)
            self._confirmed[name] = time.monotonic()
        return session

    def confirm(self, session: dict) -> None:
        """Sends a form that is refused anyway, and the password where it is asked for."""
        with self._client() as client:
            for cookie in session["cookies"]:
                client.cookies.set(cookie["name"], cookie["value"])
            asked = client.post("/admin/tokens", data={"name": "", "days": "30"})
            if held := re.search(r'name="held" value="([0-9a-f]+)"', asked.text):
                client.post("/admin/tokens", data={"held": held[1], "password": PASSWORD})

    def first_link(self) -> str:
        """The path of the link that the console prints while nobody can sign in."""
        return urlsplit(self.says(r"https?://\S+/admin/setup/\S+")[0]).path

    def _signed_in(self, name: str) -> dict:
        """An owner's session, as Playwright's `storage_state`: made without a browser, and once."""
        with self._client() as client:
            link = self.first_link() if name == ADA else self.invitation(name)
            fields = {"name": name, "password": PASSWORD, "again": PASSWORD}
            answer = client.post(link, data=fields)
            assert answer.status_code == 303, answer.text
            cookies = [
                {"name": cookie.name, "value": cookie.value, "domain": "127.0.0.1", "path": "/"}
                for cookie in client.cookies.jar
            ]
        return {"cookies": cookies, "origins": []}

    def client(self, name: str) -> httpx.Client:
        """A program that has this owner's session, and sends forms as a browser does."""
        client = self._client()
        for cookie in self.signed_in(name)["cookies"]:
            client.cookies.set(cookie["name"], cookie["value"])
        return client

    def invitation(self, name: str) -> str:
        """The path of the link by which the administrator lets a new owner in."""
        with self.client(ADA) as client:
            answer = client.post("/admin/owners", data={"name": name, "role": "owner"}, follow_redirects=True)
        return urlsplit(re.search(r"https?://[^\s<]+/admin/setup/[^\s<]+", answer.text)[0]).path

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.origin, trust_env=False, headers={"origin": self.origin})
