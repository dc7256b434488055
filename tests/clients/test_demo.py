"""`ai-proxy demo`: whatever it prints works as it stands, and stays what it was."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from conftest import CLIENTS
from programs import SECONDS, Program, Reach, environment, python
from proxy import BINARY

pytestmark = pytest.mark.proxied


class Demo(Program):
    """A running demo and the sections of what it printed, by their headings."""

    def __init__(self, data: Path):
        super().__init__("demo", [str(BINARY), "demo", "--data-dir", str(data), "--listen", "127.0.0.1:0"])
        self.says("Ctrl-C stops it")
        head, *sections = re.split(r"^── ", "".join(self.out), flags=re.MULTILINE)
        self.url = re.search(r"^URL +(\S+)$", head, re.MULTILINE)[1]
        self.key = re.search(r"^Key +(\S+)$", head, re.MULTILINE)[1]
        self.event = re.search(r"\(([0-9a-f]{4}-[0-9a-f]{4})\)", head)[1]
        self.sections = dict(section.split("\n", 1) for section in sections)

    def section(self, word: str) -> str:
        [text] = [text for heading, text in self.sections.items() if word in heading]
        return text


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with Demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


def run(command: list[str], typed: str) -> str:
    done = subprocess.run(
        command, input=typed, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_curl_commands_pasted_one_after_the_other(demo):
    typed = demo.section("Open a session") + demo.section("List its tools") + demo.section("Call one")

    told = run(["bash", "-s"], typed)

    answers = [json.loads(line[line.index("{"):]) for line in told.splitlines() if '"jsonrpc"' in line]
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    assert "serverInfo" in answers[0]["result"]
    assert {"echo", "get_current_utc_time"} <= {tool["name"] for tool in answers[1]["result"]["tools"]}
    assert answers[2]["result"]["content"][0]["text"] == "Hello!"


@pytest.mark.parametrize("venv", ["fastmcp2", "fastmcp3", "fastmcp4"])
def test_the_python_program(demo, venv):
    tools, call = run([python(venv), "-"], demo.section("Python")).splitlines()
    assert tools == "['echo', 'get_current_utc_time']"
    assert call.startswith("get_current_utc_time ") and "is_error=False" in call


@pytest.mark.parametrize("client_name", CLIENTS)
def test_every_client_with_the_configuration_for_vs_code(demo, client_name, client):
    [entry] = json.loads(demo.section("VS Code"))["servers"].values()
    assert entry["type"] == "http"

    facts = client(client_name).do("tools", Reach(None, entry["url"], entry["headers"]), message="Hällo ☕")

    assert sorted(facts["tools"]) == ["echo", "get_current_utc_time"]
    assert facts["echo"] == "Hällo ☕"


def test_a_second_start_keeps_event_and_key(tmp_path):
    with Demo(tmp_path) as first:
        pass
    with Demo(tmp_path) as second:
        assert (second.event, second.key) == (first.event, first.key)
