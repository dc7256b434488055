"""The proxy under test: the real binary, set up through its own commands."""

import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

from programs import ROOT, SECONDS, Program, environment

BINARY = ROOT / os.environ.get("AI_PROXY_BINARY", "target/debug/ai-proxy")
EVENT = "Client tests"


def ai_proxy(data: Path, *arguments: str, **variables: str) -> str:
    """Runs one command on a data folder and returns what it prints."""
    command = [str(BINARY), *arguments, "--data-dir", str(data)]
    done = subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def workshop(resources: dict[str, dict[str, str]], **fields: object) -> str:
    """A workshop file with these resources, by deployment name, in one open event without narrow caps.

    `fields` are the event's, where they are not those of all tests.
    """
    now = datetime.now(timezone.utc)
    event = {
        "name": EVENT,
        "description": "# Welcome",
        "organizer_name": "Ada",
        "organizer_email": "ada@example.org",
        "start": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}",
        "end": f"{now + timedelta(days=1):%Y-%m-%dT%H:%M}",
        "time_zone": "UTC",
        "daily_request_cap": 100_000,
        "requests_per_minute": 100_000,
        "resources": list(resources),
    } | fields
    tables = [toml("resource", deployment=deployment, **fields) for deployment, fields in resources.items()]
    return "\n".join([*tables, toml("event", **event)])


def toml(table: str, **fields: object) -> str:
    """One entry. JSON's text, numbers and lists are TOML's too."""
    return "\n".join([f"[[{table}]]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items()), ""])


def apply(data: Path, text: str) -> None:
    file = data / "workshop.toml"
    file.write_text(text)
    ai_proxy(data, "apply", str(file))


def issue(data: Path, count: int, event: str = EVENT) -> list[str]:
    """New attendees' keys."""
    issued = ai_proxy(data, "attendee", "issue", "--event", event, "--count", str(count), "--format", "json")
    return [attendee["api_key"] for attendee in json.loads(issued)]


class AiProxy(Program):
    """`ai-proxy serve` on a free port."""

    def __init__(self, data: Path, *flags: str, env: dict[str, str] | None = None):
        command = [str(BINARY), "serve", "--data-dir", str(data), "--listen", "127.0.0.1:0", *flags]
        super().__init__("ai-proxy", command, env=env)
        self.data = data
        self.origin = self.says(r"listening on (https?://\S+)")[1]
        self.api = f"{self.origin}/api/v1"
