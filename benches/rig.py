"""The processes of a measurement: a backend, the proxies in front of it, the
clients; where they run, and what they cost. Loopback only; everything that is
started here is ended when the `Rig` is left, however it is left."""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benches"
PROXY = ROOT / "target/release/ai-proxy"
LOAD = ROOT / "target/release/examples/load"
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
ATTENDEES = 500
ENDPOINT = "/api/v1/mcp/bench"

WORKSHOP = """
[[resource]]
deployment = "bench"
type = "mcp-server"
endpoint = "http://127.0.0.1:{port}/mcp"
key = "backend-key"

[[event]]
id = "be0c-be0c"
name = "Bench"
description = "A measurement."
organizer_name = "Bench"
organizer_email = "bench@example.org"
start = "2020-01-01T00:00"
end = "2099-01-01T00:00"
resources = ["bench"]
daily_request_cap = 100000
requests_per_minute = 100000
"""


@dataclass
class Cores:
    """Which cores a process may use; `None` means all, where there are too few."""

    proxy: set | None
    backend: set | None
    load: set | None
    two: set | None = None

    @classmethod
    def share(cls):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 3:
            return cls(None, None, None)
        *spare, proxy, backend, load = cores
        two = {spare[-1], proxy} if spare else None
        return cls({proxy}, {backend}, {load}, two)


@dataclass
class Target:
    """Something that serves the endpoint."""

    name: str
    port: int
    path: str
    process: subprocess.Popen | None
    tls_port: int | None = None

    def processes(self):
        """Its process and the workers that it made."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def cpu(self):
        """Seconds of processor time used so far."""
        ticks = 0
        for pid in self.processes():
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(stat[11]) + int(stat[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes that are in memory for it alone, and its share of the rest."""
        total = 0
        for pid in self.processes():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, patience=10):
    """Until something accepts on the port."""
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing listens on port {port} after {patience} s")
            time.sleep(0.001)


@dataclass
class Rig(contextlib.AbstractContextManager):
    cores: Cores = field(default_factory=Cores.share)
    backend_port: int = field(default_factory=free_port)
    flap: tuple | None = None

    def __enter__(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        self.folder = Path(tempfile.mkdtemp(prefix="ai-proxy-bench-"))
        self.running = []
        # Also when killed politely: nothing may be left running.
        signal.signal(signal.SIGTERM, lambda *_: exit(1))
        try:
            self._prepare()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self):
        workshop = self.folder / "workshop.toml"
        workshop.write_text(WORKSHOP.format(port=self.backend_port))
        self.store = self.folder / "store"
        self.ai_proxy("apply", workshop)
        issued = self.ai_proxy(
            "attendee", "issue", "--event", "be0c-be0c", "--count", ATTENDEES, "--format", "json"
        )
        self.keys = self.folder / "keys"
        keys = [row["api_key"] for row in json.loads(issued)]
        self.keys.write_text("\n".join(keys) + "\n")
        subprocess.run([LOAD, "certificate", self.folder], check=True)
        flap = [f"--flap={self.flap[0]},{self.flap[1]}"] if self.flap else []
        log = open(self.folder / "backend.json", "w")
        self.backend = self.start(
            self.cores.backend, LOAD, "backend", "--port", self.backend_port, *flap, stdout=log
        )
        wait_for(self.backend_port)

    def ai_proxy(self, *args):
        """Runs a command of ours on the store; what it printed."""
        command = [PROXY, *map(str, args), "--data-dir", self.store]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def start(self, cores, *command, **options):
        def pin():
            if cores:
                os.sched_setaffinity(0, cores)

        options = {"stdout": subprocess.DEVNULL, "text": True, **options}
        process = subprocess.Popen(list(map(str, command)), preexec_fn=pin, **options)
        self.running.append(process)
        return process

    def stop(self, target):
        target.process.terminate()
        target.process.wait(40)
        self.running.remove(target.process)

    def direct(self):
        return Target("direct", self.backend_port, "/mcp", None)

    def proxy(self, name="ai-proxy", workers=1, cores=None, tls=False, options=()):
        """Ours, on the one store: a stopped one has given back what it leased."""
        port = free_port()
        command = [PROXY, "serve", "--data-dir", self.store, "--listen", f"127.0.0.1:{port}"]
        command += ["--workers", workers, "--log", "error", *options]
        if tls:
            command += ["--tls-cert", self.folder / "cert.pem", "--tls-key", self.folder / "key.pem"]
        process = self.start(cores or self.cores.proxy, *command)
        wait_for(port)
        return Target(name, port, ENDPOINT, process, port if tls else None)

    def bare(self):
        """Ours without its duties."""
        port = free_port()
        command = [LOAD, "bare", "--port", port, "--backend", self.backend_port]
        process = self.start(self.cores.proxy, *command)
        wait_for(port)
        return Target("bare", port, ENDPOINT, process)

    def nginx(self, name="nginx", workers=1, cores=None):
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        keys = "".join(f"{key} 1;\n" for key in self.keys.read_text().split())
        (folder / "keys.map").write_text(keys)
        for file in ("cert.pem", "key.pem"):
            shutil.copy(self.folder / file, folder)
        port, tls_port = free_port(), free_port()
        text = (HERE / "nginx.conf").read_text()
        values = dict(
            WORKERS=workers, FOLDER=folder, BACKEND=self.backend_port, PORT=port, TLS_PORT=tls_port
        )
        for at, value in values.items():
            text = text.replace(f"@{at}@", str(value))
        (folder / "nginx.conf").write_text(text)
        process = self.start(cores or self.cores.proxy, NGINX, "-c", folder / "nginx.conf")
        wait_for(port)
        return Target(name, port, ENDPOINT, process, tls_port)

    def wrk(self, target, connections, seconds, tls=False):
        """One run of wrk: its figures, and the processor time of the target."""
        port = target.tls_port if tls else target.port
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        threads = 2 if tls else 1
        cores = self.cores.load | self.cores.backend if tls and self.cores.load else self.cores.load
        arguments = [self.keys, target.path, *(["close"] if tls else [])]
        command = ["wrk", "-t", threads, "-c", connections, "-d", f"{seconds}s", "--latency"]
        command += ["-s", HERE / "call.lua", url, "--", *arguments]
        figures = self.measure(target, cores, seconds, command)
        figures["rate"] = figures["requests"] / figures["seconds"]
        if figures["refused"] or figures["errors"] > figures["requests"] / 1000:
            raise SystemExit(f"{target.name}: not all of the requests were answered: {figures}")
        return figures

    def client(self, target, seconds, command, *options):
        """One run of a client of ours."""
        where = ["--address", f"127.0.0.1:{target.port}", "--path", target.path]
        command = [LOAD, command, *where, "--keys", self.keys, "--seconds", seconds, *options]
        return self.measure(target, self.cores.load, seconds, command)

    def measure(self, target, cores, seconds, command):
        before = target.cpu() if target.process else 0
        process = self.start(cores, *command, stdout=subprocess.PIPE)
        printed, _ = process.communicate(timeout=seconds + 60)
        self.running.remove(process)
        if process.returncode:
            raise SystemExit(f"{target.name}: the client failed: {command[0]}")
        after = target.cpu() if target.process else 0
        line = printed.strip().splitlines()[-1].removeprefix("JSON ")
        return {**json.loads(line), "cpu": after - before}

    @contextlib.contextmanager
    def open_streams(self, target, streams):
        """Silent GET streams, open until the block is left."""
        where = ["--address", f"127.0.0.1:{target.port}", "--path", target.path]
        command = [LOAD, "streams", *where, "--keys", self.keys, "--streams", streams]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = self.start(self.cores.load, *command, **pipes)
        opened = process.stdout.readline()
        if not opened or json.loads(opened)["open"] != streams:
            raise SystemExit(f"{target.name}: {streams} streams could not be opened")
        yield process
        still, _ = process.communicate(timeout=60)
        self.running.remove(process)
        if json.loads(still)["still_open"] != streams:
            raise SystemExit(f"{target.name}: only {still} of {streams} streams stayed open")
