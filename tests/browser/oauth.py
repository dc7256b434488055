"""MCP clients without a key, and the person who signs them in."""

import re
import time
from pathlib import Path
from urllib.parse import urlsplit

from journeys import IN_FORCE
from playwright.sync_api import Page, expect
from programs import HERE, SECONDS, Program, environment, python
from proxy import BINARY, AiProxy

PRINTED = "echo browser %s"
"""In place of a browser: the client prints the address that it would open. No colon, at which Python would split it."""
FASTMCP = ["fastmcp2", "fastmcp3", "fastmcp4"]
TYPESCRIPT = ["typescript1", "typescript2"]
BRIDGE = "mcp-remote"
"""A program between a client that can only start programs, and the proxy."""


class SigningIn(Program):
    """A client that prints where it sends its person, each time that it needs them."""

    def __init__(self, name: str, command: list[str], **variables: str):
        super().__init__(name, command, env=environment(**variables))
        self._visits = 0

    def visits(self) -> list[str]:
        """Where it has sent its person so far."""
        return self._said(r"^(?:browser |Please navigate to: )?(http\S+/authorize\?\S+)")

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
            command = [python("fastmcp4" if version == BRIDGE else version), str(HERE / "python/oauth_client.py")]
        if version == BRIDGE:
            command += ["--bridge", str(HERE / "typescript/node_modules/.bin/mcp-remote")]
            # It prints the address itself.
            variables |= {"MCP_REMOTE_CONFIG_DIR": str(self.store), "BROWSER": "true"}
        elif version != "fastmcp2":
            # fastmcp2 comes without a store that keeps anything.
            command += ["--store", str(self.store)]
        command += ["--windows", str(windows), "--key", key, url]
        variables = {"BROWSER": PRINTED, "HOME": str(home), "FASTMCP_CHECK_FOR_UPDATES": "off"} | variables
        super().__init__(version, command, **variables)
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
        return self._wait_for(self._ended, SECONDS, "the results of the calls")

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


    def tokens(self) -> set[str]:
        """The tokens that it keeps."""
        return {token for file in self._files() for token in re.findall(r"aipx_[ar]t_\w+", file.read_text())}

    def lose_access(self) -> None:
        """Replaces the access token that it keeps by one that the proxy does not know."""
        for file in self._files():
            file.write_text(re.sub(r"aipx_at_\w+", "aipx_at_unknown", file.read_text()))

    def _files(self) -> list[Path]:
        return [file for file in [self.store, *self.store.rglob("*")] if file.is_file()]


class Replacement(Program):
    """A proxy at the address at which another one was, so the same clients call it."""

    def __init__(self, before: AiProxy, data: Path, *flags: str):
        address = urlsplit(before.origin).netloc
        command = [str(BINARY), "serve", "--data-dir", str(data), "--listen", address, *flags]
        super().__init__("ai-proxy", command)
        self.says("listening on")
        self.data, self.origin, self.api = data, before.origin, before.api


def sign_in(person: Page, address: str, given: str) -> None:
    """Opens the page to which a client sends its person, and shows a card's code or a key there."""
    person.goto(address)
    show(person, given)


def show(person: Page, given: str) -> None:
    expect(person.get_by_role("heading", level=1)).to_have_text("Sign in to your event")
    person.get_by_label("Card code or API key").fill(given)
    person.get_by_role("button", name="Continue").click()


def allow(person: Page) -> None:
    person.get_by_role("button", name="Allow").click()
