"""The API does what its description says, as schemathesis finds out with requests that it makes up.

They go to a proxy whose store holds resources, events and attendees. Nothing may be found.
"""

import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from portal import ADA, Portal
from programs import EXAMPLE, VENVS, Server, environment

HERE = Path(__file__).resolve().parent
BASE = "/api/admin/v1"
FEWEST_CASES = 1000
"""A run of fewer cases has tested next to nothing."""
PATIENCE = 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("mcp-demo", "fastmcp4", EXAMPLE) as server:
        yield server


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    # Nothing is asked but by schemathesis.
    with Portal(tmp_path_factory.mktemp("data"), "--health-interval", "0") as running:
        yield running


@pytest.fixture(scope="module")
def api(portal: Portal) -> Iterator[httpx.Client]:
    with portal.client(ADA) as client:
        page = client.post("/admin/tokens", data={"name": "Contract", "days": ""}, follow_redirects=True).text
    headers = {"authorization": "Bearer " + re.search(r"aip_[A-Za-z0-9_-]+", page)[0]}
    with httpx.Client(base_url=portal.origin + BASE, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def rows(portal: Portal, api: httpx.Client, server: Server) -> dict[str, str]:
    """A store with some of everything; what the hooks need to know of it."""
    resource = made(api.post("/resources", json={"deployment": "demo", **server.resource()}))["id"]
    ids = [event(portal, api, resource, f"contract{number}") for number in range(3)]
    deleted = made(api.get(f"/events/{ids[0]}/attendees/deleted"))["items"]
    assert deleted
    return {
        "CONTRACT_API": portal.origin + BASE,
        "CONTRACT_AUTHORIZATION": api.headers["authorization"],
        "CONTRACT_DELETED": " ".join(row["user_id"] for row in deleted),
        "CONTRACT_EVENT": ids[0],
        "CONTRACT_ORIGIN": server.origin,
        "CONTRACT_RESOURCE": resource,
    }


def made(answer: httpx.Response) -> dict:
    return answer.raise_for_status().json()


def event(portal: Portal, api: httpx.Client, resource: str, code: str) -> str:
    """An event with attendees of every kind, also deleted ones; its id."""
    fields = {
        "name": "Demo",
        "description": "# Hello",
        "organizer_name": "Ada",
        "organizer_email": "ada@example.org",
        "start": "2020-01-01T09:00",
        "end": "2099-01-01T18:00",
        "resources": [resource],
        "shared_code": code,
        "active": True,
    }
    id = made(api.post("/events", json=fields))["id"]
    made(api.post(f"/events/{id}/attendees", json={"names": ["Grace", "Edsger"], "count": 3}))
    for number in range(20):
        join(portal, f"{id}@{code}/Barbara {number}")
    joined = [row for row in made(api.get(f"/events/{id}/attendees"))["items"] if row["user_id"].startswith("shared:")]
    for row in joined[1:]:
        api.delete(f"/events/{id}/attendees/{row['id']}").raise_for_status()
    return id


def join(portal: Portal, key: str) -> None:
    """Somebody calls for the first time, with the shared code and their name."""
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    end = time.monotonic() + PATIENCE
    # Until the proxy knows the event. What the server answers does not matter: they have joined by then.
    while post(portal, key, ping).status_code == httpx.codes.UNAUTHORIZED:
        assert time.monotonic() < end, f"{key} is refused"
        time.sleep(0.5)


def post(portal: Portal, key: str, message: dict) -> httpx.Response:
    return httpx.post(f"{portal.api}/mcp/demo/mcp", json=message, headers={"api-key": key}, trust_env=False)


def test_it_does_what_its_description_says(
    portal: Portal, api: httpx.Client, rows: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "report.ndjson"
    command = [str(VENVS / "contract/bin/schemathesis"), "--config-file", str(HERE / "schemathesis.toml"), "run"]
    command += [f"{portal.origin}{BASE}/openapi.json", "--report-ndjson-path", str(report)]
    command += ["--header", f"Authorization: {api.headers['authorization']}"]
    done = subprocess.run(
        command, cwd=HERE, env=environment(**rows), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-2_000:]}"
    # A run that left something out, or made next to nothing up, has shown nothing.
    answered = statuses(report)
    tested = {operation for operation, codes in answered.items() if any(200 <= code < 300 for code in codes)}
    assert operations(api) <= tested, f"never done: {operations(api) - tested}"
    assert sum(map(len, answered.values())) >= FEWEST_CASES, answered


def operations(api: httpx.Client) -> set[str]:
    """All but the one that serves the description: schemathesis leaves it out, and has read it."""
    paths = made(api.get("/openapi.json"))["paths"]
    all = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    return all - {"GET /openapi.json"}


def statuses(report: Path) -> dict[str, list[int]]:
    """What each operation answered, case by case."""
    answered: dict[str, list[int]] = defaultdict(list)
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for id, interaction in recorder.get("interactions", {}).items():
            case, answer = recorder["cases"].get(id, {}).get("value"), interaction.get("response")
            if case and answer:
                answered[f"{case['method']} {case['path']}"].append(answer["status_code"])
    return answered
