"""A server of the handshake era (2025-03-26 … 2025-11-25), for FastMCP 2 and 3.

It does what the echo server of the guide cannot: it asks the client back,
reports progress, speaks unasked on the GET stream, drops a stream that has to
be resumed, and hangs until it is cancelled.
"""

import asyncio

from control import PATIENCE, Watch, awaited, give, serve
from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import get_http_headers
from fastmcp.server.event_store import EventStore
from starlette.middleware import Middleware

mcp = FastMCP("Handshake era")


def session_id() -> str:
    return get_http_headers(include_all=True)["mcp-session-id"]


@mcp.tool
async def steps(token: str, count: int, ctx: Context) -> str:
    """Takes the next step only when the client has seen the one before."""
    for step in range(1, count + 1):
        await ctx.report_progress(step, count, f"step {step}")
        await awaited(f"{token}/{step}")
    return f"{count} steps"


@mcp.tool
async def hang(token: str, ctx: Context) -> str:
    """Never ends by itself: the test cancels it."""
    give(f"hanging/{token}", request=ctx.request_context.request_id)
    try:
        await asyncio.sleep(2 * PATIENCE)
    except asyncio.CancelledError:
        give(f"cancelled/{token}")
        raise
    return "nobody cancelled me"


@mcp.tool
async def ask_model(question: str, ctx: Context) -> str:
    """A sampling round trip: the client's model answers."""
    answer = await ctx.sample(question, system_prompt="Be brief", max_tokens=64)
    return f"the model said: {answer.text}"


@mcp.tool
async def ask_person(question: str, ctx: Context) -> str:
    """An elicitation round trip: the person at the client answers."""
    answer = await ctx.elicit(question, response_type=str)
    return f"the person said: {answer.data}" if answer.action == "accept" else answer.action


@mcp.tool
async def announce(ctx: Context) -> str:
    """Speaks on the GET stream, as soon as the client has opened it."""
    await awaited(f"listening/{session_id()}")
    await ctx.session.send_tool_list_changed()
    await ctx.session.send_resource_list_changed()
    return "announced"


@mcp.tool
async def drop(ctx: Context) -> str:
    """Closes its own stream; the result can only be had by resuming."""
    await ctx.close_sse_stream()
    facts = await awaited(f"resumed/{session_id()}")
    return f"resumed after {facts['last_event_id']}"


@mcp.tool
def repeat(text: str, times: int) -> str:
    """A large answer, or a large question."""
    return text * times


@mcp.resource("note://today")
def today() -> str:
    return "Bring a laptop."


@mcp.resource("note://room/{name}")
def room(name: str) -> str:
    return f"Room {name} is on the first floor. ☕"


@mcp.prompt
def greet(name: str) -> str:
    return f"Say hello to {name}."


if __name__ == "__main__":
    serve(
        mcp.http_app(
            path="/mcp",
            transport="streamable-http",
            event_store=EventStore(),
            retry_interval=20,
            middleware=[Middleware(Watch)],
        )
    )
