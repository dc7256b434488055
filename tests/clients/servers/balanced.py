"""Two instances of a server behind one address, as a load balancer with an affinity cookie runs them.

Each has its own sessions and knows nothing of the other's. A request goes to
the instance that its cookie names; without one to each in turn, and the answer
sets the cookie (Azure Container Apps, AWS ALB).
"""

from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle

from control import Watch, serve
from fastmcp import FastMCP
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.routing import Mount

COOKIE = "acaAffinity"


def instance(name: str):
    mcp = FastMCP("Balanced")

    @mcp.tool
    def where() -> str:
        """The instance that answers."""
        return name

    return mcp.http_app(path="/mcp", transport="streamable-http")


INSTANCES = {name: instance(name) for name in ("one", "two")}
turns = cycle(INSTANCES)


async def balance(scope, receive, send):
    name = Request(scope).cookies.get(COOKIE)
    if name in INSTANCES:
        await INSTANCES[name](scope, receive, send)
        return
    name = next(turns)

    async def sending(message):
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", f"{COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax")
        await send(message)

    await INSTANCES[name](scope, receive, sending)


@asynccontextmanager
async def lifespan(_):
    async with AsyncExitStack() as stack:
        for app in INSTANCES.values():
            await stack.enter_async_context(app.lifespan(app))
        yield


if __name__ == "__main__":
    serve(Watch(Starlette(routes=[Mount("/", app=balance)], lifespan=lifespan)))
