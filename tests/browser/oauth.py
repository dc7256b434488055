"""MCP clients without a key, and the person who signs them in."""

import re
import time
from pathlib import Path

from journeys import IN_FORCE
from playwright.sync_api import Page, expect
from programs import HERE, SECONDS, Program, environment, python

PRINTED = "echo browser %s"
"""In place of a browser: the client prints the address that it would open. No colon, at which Python would split it."""
FASTMCP = ["fastmcp2", "fastmcp3", "fastmcp4"]
TYPESCRIPT = ["typescript1", "typescript2"]


class SigningIn(Program):
    """A client that prints where it sends its person, each time that it needs them."""

    def __init__(self, name: str, command: list[str], **variables: str):
        super().__init__(name, command, env=environment(**variables))
        self._visits = 0

    def visits(self) -> list[str]:
        """Where it has sent its person so far."""
        return self._said(r"browser (http\S+)")

    def next_visit(self) -> str:
        """Where it sends its person next."""
        self._visits += 1
        new = slice(self._visits - 1, None)
        return self._wait_for(lambda: next(iter(self.visits()[new]), None), SECONDS, "an address")

    def _said(self, pattern: str) -> list[str]:
        return [match[1] for line in self.out + self.err if (match := re.search(pattern, line))]


class Client(SigningIn):
    """A client library. What it was allowed is kept at `home`, so another one there need not sign in."""

    def __init__(self, version: str, url: str, home: Path, *, windows: int = 1, key: str = "", **variables: str):
        self.store = home / f"{version}.store"
        if version in TYPESCRIPT:
            command = ["node", str(HERE / f"typescript/oauth{version[-1]}.mjs")]
        else:
            command = [python(version), str(HERE / "python/oauth_client.py")]
        # fastmcp2 comes without a store that keeps anything.
        command += ["--store", str(self.store)] if version != "fastmcp2" else []
        command += ["--windows", str(windows), "--key", key, url]
        super().__init__(version, command, BROWSER=PRINTED, FASTMCP_CHECK_FOR_UPDATES="off", **variables)
        self._windows = windows
        self._calls = 0

    def calls_until_it_sends_somebody(self, message: str) -> str:
        """Calls until somebody has to sign in, as they have to once a change is in force; the address."""
        deadline = time.monotonic() + IN_FORCE
        visits = len(self.visits())
        while True:
            self.begin(message)
            self._wait_for(lambda: self.visits()[visits:] or self._ended(), SECONDS, "an end")
            if self.visits()[visits:]:
                return self.next_visit()
            assert time.monotonic() < deadline, "nobody had to sign in"

    def begin(self, message: str) -> None:
        """Begins a call of `echo` in every window."""
        self.process.stdin.write(f"{message}\n")
        self.process.stdin.flush()
        self._calls += self._windows

    def ends(self) -> list[str]:
        """What came of the calls that were begun last."""
        return self._wait_for(self._ended, SECONDS, "what came of the calls")

    def _ended(self) -> list[str] | None:
        said = self._said("^((?:answer|error): .*)")
        return said[-self._windows :] if len(said) == self._calls else None

    def call(self, message: str) -> list[str]:
        """What comes of one call in every window, in which nobody has to sign in."""
        before = self.visits()
        self.begin(message)
        ends = self.ends()
        assert self.visits() == before, "somebody has to sign in"
        return ends


def sign_in(person: Page, address: str, given: str) -> None:
    """Opens the page to which a client sends its person, and shows a card's code or a key there."""
    person.goto(address)
    expect(person.get_by_role("heading", level=1)).to_have_text("Sign in to your event")
    person.get_by_label("Card code or API key").fill(given)
    person.get_by_role("button", name="Continue").click()


def allow(person: Page) -> None:
    person.get_by_role("button", name="Allow").click()
