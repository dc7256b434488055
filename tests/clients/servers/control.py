"""How a test watches a backend and paces it, without a clock.

A *sign* is something that happened, under a name: a tool has begun, a client
has seen its third progress event. Tools give signs and await them, and so do
the clients, over `/control/…` of the same server (reached directly, never
through the proxy). What each request brought is kept as well, by its
`x-test-mark`.
"""

import asyncio
import os
import secrets
import socket
import sys
from collections import defaultdict

import uvicorn
from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse, Response

API_KEY = os.environ["MCP_API_KEY"]
PATIENCE = 10.0
"""Seconds until a sign that nobody gives is a failure."""


class Sign:
    def __init__(self):
        self.given = asyncio.Event()
        self.facts = {}


_signs: dict[str, Sign] = defaultdict(Sign)
_requests: dict[str, list[dict]] = defaultdict(list)


def give(name: str, **facts) -> None:
    """Says that `name` happened; the first time counts."""
    sign = _signs[name]
    if not sign.given.is_set():
        sign.facts = facts
        sign.given.set()


async def awaited(name: str) -> dict:
    """Waits until `name` happens; raises TimeoutError when it does not."""
    sign = _signs[name]
    try:
        await asyncio.wait_for(sign.given.wait(), PATIENCE)
    except asyncio.TimeoutError:
        raise TimeoutError(f"waited {PATIENCE:g} s for {name}, in vain") from None
    return sign.facts


class Watch:
    """ASGI middleware: the control routes, the key check and the record of requests.

    Signs it gives, with the session id:
    `listening/<id>` a GET stream's headers were sent; `resumed/<id>` a request
    came with `Last-Event-ID`; `left/<id>` a GET stream has ended.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith("/control/"):
            answer = await control(scope)
            await answer(scope, receive, send)
        else:
            await self.watched(scope, receive, send)

    async def watched(self, scope, receive, send):
        headers = Headers(scope=scope)
        record = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "headers": headers.items(),
            "status": None,
        }
        _requests[headers.get("x-test-mark", "")].append(record)
        session = headers.get("mcp-session-id", "")
        is_get = scope["method"] == "GET"
        if "last-event-id" in headers:
            give(f"resumed/{session}", last_event_id=headers["last-event-id"])

        async def sending(message):
            if message["type"] == "http.response.start":
                record["status"] = message["status"]
            await send(message)
            if is_get and message["type"] == "http.response.start" and message["status"] == 200:
                give(f"listening/{session}")

        try:
            if not secrets.compare_digest(headers.get("api-key", ""), API_KEY):
                await JSONResponse({"error": "Unauthorized"}, status_code=401)(scope, receive, sending)
            else:
                await self.app(scope, receive, sending)
        finally:
            if is_get:
                give(f"left/{session}")


async def control(scope) -> Response:
    verb, _, name = scope["path"].removeprefix("/control/").partition("/")
    if verb == "give":
        give(name, **QueryParams(scope["query_string"]))
        return Response(status_code=204)
    if verb == "await":
        try:
            return JSONResponse(await awaited(name))
        except TimeoutError as error:
            return JSONResponse({"error": str(error)}, status_code=504)
    if verb == "requests":
        return JSONResponse(_requests[name])
    return Response(status_code=404)


def serve(app, **options) -> None:
    """Serves `app` on a free loopback port, and says which. `options` are uvicorn's.

    The socket listens before the line is written: who reads it can connect.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(f"on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, **options)
    uvicorn.Server(config).run(sockets=[listener])
    sys.exit(0)
