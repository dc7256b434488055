"""What a client program is asked to do, and how it answers: one JSON line each.

A program stays up for the whole test run, so that its imports are paid once.
A scenario returns facts and judges nothing; the tests do.
"""

import asyncio
import json
import sys
import traceback
import urllib.request
from collections.abc import Awaitable, Callable
from urllib.parse import quote

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Job:
    """`url` and `headers` lead to the server under test; `token` is this job's own name."""

    def __init__(self, line: str):
        ordered = json.loads(line)
        self.scenario: str = ordered["scenario"]
        self.url: str = ordered["url"]
        self.headers: dict[str, str] = ordered["headers"]
        self.token: str = ordered["token"]
        self.seconds: float = ordered["seconds"]
        self.args: dict = ordered["args"]
        self._control: str = ordered["control"]

    async def give(self, sign: str) -> None:
        await self._ask(f"give/{quote(sign)}")

    async def awaited(self, sign: str) -> dict:
        return json.loads(await self._ask(f"await/{quote(sign)}"))

    async def _ask(self, path: str) -> bytes:
        def request() -> bytes:
            with _direct.open(f"{self._control}/{path}", timeout=self.seconds) as answer:
                return answer.read()

        return await asyncio.to_thread(request)


class Heard:
    """What the client was told unasked, and a way to wait for it."""

    def __init__(self):
        self.methods: list[str] = []
        self._more = asyncio.Event()

    def add(self, method: str) -> None:
        self.methods.append(method)
        self._more.set()

    async def both(self) -> list[str]:
        """Waits for two notifications."""
        while len(self.methods) < 2:
            self._more.clear()
            await self._more.wait()
        return self.methods


def causes(error: BaseException) -> list[str]:
    """Every message in an error, its group and its causes, which may run in a circle."""
    seen: dict[int, str] = {}
    waiting = [error]
    while waiting:
        next_one = waiting.pop(0)
        if next_one is not None and id(next_one) not in seen:
            seen[id(next_one)] = f"{type(next_one).__name__}: {next_one}"
            waiting += [*getattr(next_one, "exceptions", []), next_one.__cause__, next_one.__context__]
    return list(seen.values())


Scenario = Callable[[Job], Awaitable[dict]]


def run(*scenarios: Scenario) -> None:
    """Does jobs until stdin ends; a scenario goes by its function's name."""
    asyncio.run(_run({scenario.__name__: scenario for scenario in scenarios}))


async def _run(scenarios: dict[str, Scenario]) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = Job(line)
        try:
            facts = await asyncio.wait_for(scenarios[job.scenario](job), job.seconds)
            answer = {"facts": facts}
        except BaseException as error:
            traceback.print_exc()
            answer = {"error": causes(error)}
            if isinstance(error, KeyboardInterrupt):
                raise
        print(json.dumps(answer), flush=True)
