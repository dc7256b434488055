"""The programs that the tests start: MCP servers, and clients that wait for jobs."""

import json
import os
import re
import subprocess
import threading
import uuid
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TextIO

import httpx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENVS = ROOT / "target" / "clients"
EXAMPLE = ROOT / "examples/python/openai_sdk_1.x/mcp/server/server.py"
BACKEND_KEY = "backend-key-of-the-tests"
SECONDS = 30.0
"""How long a client may take over one job: a deadline, never a pause."""


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would send loopback traffic elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"} | more


def python(venv: str) -> str:
    return str(VENVS / venv / "bin" / "python")


class Program:
    """A child process whose output is kept line by line, and which is stopped with the tests."""

    def __init__(self, name: str, command: list[str], *, cwd: Path = ROOT, env: dict[str, str] | None = None):
        self.name = name
        self.out: list[str] = []
        self.err: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env or environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self._speaking = 2
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=self._keep, args=(stream, lines), daemon=True).start()

    def _keep(self, stream: TextIO, lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._speaking -= 1
            self._changed.notify_all()

    def says(self, pattern: str, seconds: float = SECONDS) -> re.Match:
        """The first line, of either stream, that matches; an error with what was said instead, if none does."""
        def found() -> re.Match | None:
            return next((match for line in self.out + self.err if (match := re.search(pattern, line))), None)

        return self._wait_for(found, seconds, pattern)

    def answer(self, number: int, seconds: float) -> str:
        """Line `number` of stdout."""
        return self._wait_for(lambda: self.out[number] if len(self.out) > number else None, seconds, "an answer")

    def _wait_for(self, found: Callable[[], Any], seconds: float, what: str) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: found() is not None or not self._speaking, seconds)
            value = found()
        if value is None:
            said = "".join(self.out[-20:] + self.err[-60:])
            raise AssertionError(f"waited up to {seconds:g} s for {what} from {self.name}, which said:\n{said}")
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Server(Program):
    """An MCP server on a free port of its own; its endpoint is /mcp."""

    def __init__(self, name: str, venv: str, script: Path, *, key: str = BACKEND_KEY):
        env = environment(MCP_API_KEY=key, HOST="127.0.0.1", PORT="0", FASTMCP_CHECK_FOR_UPDATES="off")
        super().__init__(name, [python(venv), str(script)], cwd=script.parent, env=env)
        self.key = key

    @cached_property
    def origin(self) -> str:
        """Known once the server listens."""
        return self.says(r"on (http://127\.0\.0\.1:\d+)")[1]

    @property
    def control(self) -> str:
        return f"{self.origin}/control"

    def resource(self, path: str = "/mcp", **fields: str) -> dict[str, str]:
        """What a workshop file says of it, save for what is said otherwise here."""
        return {"endpoint": self.origin + path, "key": self.key} | fields

    def requests(self, mark: str) -> list[dict]:
        """What the requests that carried this `x-test-mark` brought (servers of `servers/` only)."""
        return httpx.get(f"{self.control}/requests/{mark}", trust_env=False).raise_for_status().json()

    def awaited(self, sign: str) -> dict:
        answer = httpx.get(f"{self.control}/await/{sign}", trust_env=False, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Client(Program):
    """One MCP client library, doing one job at a time."""

    def __init__(self, name: str, command: list[str], **variables: str):
        super().__init__(name, command, env=environment(**variables))
        self._jobs = 0
        self._answers = 0

    def fit(self) -> bool:
        """Whether it has answered what it was asked, and can be asked again."""
        return self._jobs == self._answers and self.process.poll() is None

    def do(self, scenario: str, reach: "Reach", *, seconds: float = SECONDS, **args) -> dict:
        """The facts of a scenario; an AssertionError with the client's own words when it fails."""
        answer = self._ask(scenario, reach, seconds, args)
        assert "facts" in answer, f"{self.name} {scenario}: {answer['error']}\n{''.join(self.err[-60:])}"
        return answer["facts"]

    def fail(self, scenario: str, reach: "Reach", *, seconds: float = SECONDS, **args) -> str:
        """What the client tells its user when the scenario fails, as it must."""
        answer = self._ask(scenario, reach, seconds, args)
        assert "error" in answer, f"{self.name} {scenario} went well: {answer['facts']}"
        return "\n".join(answer["error"])

    def _ask(self, scenario: str, reach: "Reach", seconds: float, args: dict) -> dict:
        job = {
            "scenario": scenario, "url": reach.url, "headers": reach.headers | {"x-test-mark": reach.mark},
            "control": reach.control, "token": reach.mark, "seconds": seconds, "args": args,
        }
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        self._jobs += 1
        answer = self.answer(self._answers, seconds + 5)
        self._answers += 1
        return json.loads(answer)


class Reach:
    """A way to a server: its URL for clients, the headers that open it, and a mark of this test's own."""

    def __init__(self, server: Server | None, url: str, headers: dict[str, str]):
        """`server` is None where it cannot be watched."""
        self.server = server
        self.control = server.control if server else ""
        self.url = url
        self.headers = headers
        self.mark = uuid.uuid4().hex

    def requests(self) -> list[dict]:
        return self.server.requests(self.mark)
