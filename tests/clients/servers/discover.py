"""A server of the discover era (2026-07-28), for the `mcp` SDK 2.

In this era there are no sessions and no calls back: what the server wants from
the client it asks for in an `input_required` result; what it has to tell goes
to `subscriptions/listen`. With older clients it still shakes hands.
"""

import asyncio

from control import PATIENCE, Watch, awaited, give, serve
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)

mcp = MCPServer("Discover era")


@mcp.tool()
async def steps(token: str, count: int, ctx: Context) -> str:
    """Takes the next step only when the client has seen the one before."""
    for step in range(1, count + 1):
        await ctx.report_progress(step, count, f"step {step}")
        await awaited(f"{token}/{step}")
    return f"{count} steps"


@mcp.tool()
async def hang(token: str, ctx: Context, speak: bool = False) -> str:
    """Never ends by itself. Silent, it has not even sent response headers."""
    if speak:
        await ctx.report_progress(1, 2, "hanging")
    give(f"hanging/{token}", request=ctx.request_context.request_id)
    try:
        await asyncio.sleep(2 * PATIENCE)
    except asyncio.CancelledError:
        give(f"cancelled/{token}")
        raise
    return "nobody cancelled me"


@mcp.tool()
async def ask_model(question: str, ctx: Context) -> str | InputRequiredResult:
    """A sampling round trip: the client's model answers."""
    if not ctx.input_responses:
        message = SamplingMessage(role="user", content=TextContent(type="text", text=question))
        params = CreateMessageRequestParams(messages=[message], system_prompt="Be brief", max_tokens=64)
        return InputRequiredResult(
            input_requests={"model": CreateMessageRequest(params=params)}, request_state="asked"
        )
    return f"the model said: {ctx.input_responses['model'].content.text}"


@mcp.tool()
async def ask_person(question: str, ctx: Context) -> str | InputRequiredResult:
    """An elicitation round trip: the person at the client answers."""
    if not ctx.input_responses:
        schema = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}
        params = ElicitRequestFormParams(message=question, requested_schema=schema)
        return InputRequiredResult(input_requests={"person": ElicitRequest(params=params)}, request_state="asked")
    answer = ctx.input_responses["person"]
    return f"the person said: {answer.content['value']}" if answer.action == "accept" else answer.action


@mcp.tool()
async def announce(ctx: Context) -> str:
    """Tells every open `subscriptions/listen` stream."""
    await ctx.notify_tools_changed()
    await ctx.notify_resources_changed()
    return "announced"


@mcp.tool()
def repeat(text: str, times: int) -> str:
    """A large answer, or a large question."""
    return text * times


@mcp.resource("note://today")
def today() -> str:
    return "Bring a laptop."


@mcp.resource("note://room/{name}")
def room(name: str) -> str:
    return f"Room {name} is on the first floor. ☕"


@mcp.prompt()
def greet(name: str) -> str:
    return f"Say hello to {name}."


if __name__ == "__main__":
    serve(Watch(mcp.streamable_http_app()))
