"""A refusal reaches a client that is still sending, though many clients read nothing until all is sent."""

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from programs import BACKEND_KEY, HERE, SECONDS, Client, Reach, environment
from proxy import AiProxy, apply, issue, workshop

MB = 1_000_000
LARGEST = 1 * MB
PLAIN_SIZES = [(12 + 3 * number) * MB for number in range(10)]
"""More than sockets hold on their way, and no more than is dropped of one body."""
SECURE_SIZES = PLAIN_SIZES[::3]

REFUSALS = {
    "invalid_api_key": 401,
    "deployment_not_found": 404,
    "body_too_large": 413,
}
every_refusal = pytest.mark.parametrize("code", REFUSALS)


@dataclass
class Site:
    proxy: AiProxy
    key: str
    certificate: str

    def refused(self, code: str) -> Reach:
        """A way on which every upload is refused with this code."""
        deployment = "other" if code == "deployment_not_found" else "demo"
        key = "not-an-attendees-key" if code == "invalid_api_key" else self.key
        headers = {"api-key": key, "content-type": "application/json"}
        return Reach(None, f"{self.proxy.api}/mcp/{deployment}/mcp", headers)


def site(data, *flags: str, certificate: str = "") -> Iterator[Site]:
    # No request gets as far as the backend.
    apply(data, workshop({"demo": {"endpoint": "http://127.0.0.1:9/mcp", "key": BACKEND_KEY}}))
    [key] = issue(data, 1)
    with AiProxy(data, "--max-body-bytes", str(LARGEST), *flags) as running:
        yield Site(running, key, certificate)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Iterator[Site]:
    yield from site(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("secure")
    key, certificate = data / "tls.key", data / "tls.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )
    yield from site(data, "--tls-cert", str(certificate), "--tls-key", str(key), certificate=str(certificate))


@pytest.fixture(scope="module")
def node(secure: Site) -> Iterator[Client]:
    with Client("node", ["node", str(HERE / "typescript/node.mjs")], NODE_EXTRA_CA_CERTS=secure.certificate) as node:
        yield node


def assert_told(answers: list[dict], code: str, tries: list[int]) -> None:
    assert answers == [{"status": REFUSALS[code], "code": code}] * len(tries)


@pytest.mark.proxied
@every_refusal
def test_nodes_fetch_is_told(code, plain, node):
    assert_told(node.do("uploads", plain.refused(code), sizes=PLAIN_SIZES)["answers"], code, PLAIN_SIZES)


@pytest.mark.proxied
@every_refusal
@pytest.mark.parametrize("scenario", ["uploads", "uploads2"], ids=["http1", "http2"])
def test_node_is_told_over_tls(scenario, code, secure, node):
    assert_told(node.do(scenario, secure.refused(code), sizes=SECURE_SIZES)["answers"], code, SECURE_SIZES)


@pytest.mark.proxied
@every_refusal
def test_httpx_is_told(code, plain):
    way = plain.refused(code)

    def upload(size: int) -> dict:
        answer = httpx.post(way.url, headers=way.headers, content=b" " * size, timeout=SECONDS, trust_env=False)
        return {"status": answer.status_code, "code": answer.json()["error"]["data"]["code"]}

    assert_told([upload(size) for size in SECURE_SIZES], code, SECURE_SIZES)


@pytest.mark.proxied
@every_refusal
def test_curl_is_told_over_http2(code, secure, tmp_path):
    way = secure.refused(code)
    headers = [part for name, value in way.headers.items() for part in ("--header", f"{name}: {value}")]

    def upload(size: int) -> dict:
        body = tmp_path / "body"
        body.write_bytes(b" " * size)
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--http2", "--cacert", secure.certificate, *headers,
             "--data-binary", f"@{body}", "--write-out", "\n%{http_version} %{http_code}", way.url],
            env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        text, _, how = done.stdout.rpartition("\n")
        version, status = how.split()
        assert version == "2"
        return {"status": int(status), "code": json.loads(text)["error"]["data"]["code"]}

    assert_told([upload(size) for size in SECURE_SIZES], code, SECURE_SIZES)


TOO_LARGE = [4_500_000, 8_000_000, 12_000_000]
"""FastMCP takes 4 MiB."""


@pytest.mark.parametrize("generation", [3, 4])
def test_a_client_goes_on_when_the_server_took_no_more(generation, client, reach):
    facts = client("fastmcp4").do("too_large", reach(f"guide-fastmcp{generation}"), sizes=TOO_LARGE * 3)

    assert facts["told"] == ["Server returned an error response"] * 9, "what FastMCP 4 makes of the 413"
    assert facts["echoes"] == [f"after {size}" for size in TOO_LARGE * 3]


@pytest.mark.parametrize("size", TOO_LARGE)
@pytest.mark.parametrize("generation", [3, 4])
def test_a_client_is_told_that_the_server_took_no_more(generation, size, client, reach):
    """To FastMCP 3 any 413 is the end of its connection, also without the proxy."""
    told = client("fastmcp3").fail("too_large", reach(f"guide-fastmcp{generation}"), sizes=[size])

    assert "413 Request Entity Too Large" in told
