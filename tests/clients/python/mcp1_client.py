"""The client of the `mcp` SDK 1."""

import asyncio
from contextlib import asynccontextmanager

import httpx
from job import Heard, Job, run
from mcp import ClientSession, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


@asynccontextmanager
async def session(job: Job, **callbacks):
    timeout = httpx.Timeout(job.seconds)
    async with (
        httpx.AsyncClient(headers=job.headers, timeout=timeout, trust_env=False) as http,
        streamable_http_client(job.url, http_client=http) as (read, write, _),
        ClientSession(read, write, **callbacks) as mcp,
    ):
        await mcp.initialize()
        yield mcp


async def text(call) -> str:
    result = await call
    assert not result.isError, result.content[0].text
    return result.content[0].text


async def tools(job: Job) -> dict:
    async with session(job) as mcp:
        names = [tool.name for tool in (await mcp.list_tools()).tools]
        echoed = await text(mcp.call_tool("echo", {"message": job.args["message"]}))
        return {"tools": names, "echo": echoed, "time": await text(mcp.call_tool("get_current_utc_time", {}))}


async def progress(job: Job) -> dict:
    seen = []

    async def on_progress(progress, total, message):
        seen.append([progress, total, message])
        await job.give(f"{job.token}/{int(progress)}")

    async with session(job) as mcp:
        arguments = {"token": job.token, "count": job.args["count"]}
        result = await text(mcp.call_tool("steps", arguments, progress_callback=on_progress))
        return {"seen": seen, "result": result}


async def sampling(job: Job) -> dict:
    asked = []

    async def model(context, params):
        asked.append([params.messages[0].content.text, params.systemPrompt])
        content = types.TextContent(type="text", text="forty-two")
        return types.CreateMessageResult(role="assistant", content=content, model="none")

    async with session(job, sampling_callback=model) as mcp:
        result = await text(mcp.call_tool("ask_model", {"question": "What is it?"}))
        return {"asked": asked, "result": result}


async def elicitation(job: Job) -> dict:
    asked = []

    async def person(context, params):
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"value": "Ada"})

    async with session(job, elicitation_callback=person) as mcp:
        result = await text(mcp.call_tool("ask_person", {"question": "Your name?"}))
        return {"asked": asked, "result": result}


async def resources(job: Job) -> dict:
    async with session(job) as mcp:
        listed = [str(resource.uri) for resource in (await mcp.list_resources()).resources]
        today = await mcp.read_resource("note://today")
        room = await mcp.read_resource("note://room/lovelace")
        return {"listed": listed, "today": today.contents[0].text, "room": room.contents[0].text}


async def prompts(job: Job) -> dict:
    async with session(job) as mcp:
        listed = [prompt.name for prompt in (await mcp.list_prompts()).prompts]
        prompt = await mcp.get_prompt("greet", {"name": "Ada"})
        return {"listed": listed, "prompt": prompt.messages[0].content.text}


async def notifications(job: Job) -> dict:
    heard = Heard()

    async def on_message(message):
        if isinstance(message, types.ServerNotification):
            heard.add(message.root.method)

    async with session(job, message_handler=on_message) as mcp:
        await text(mcp.call_tool("announce", {}))
        return {"heard": sorted(await heard.both())}


async def resume(job: Job) -> dict:
    async with session(job) as mcp:
        return {"result": await text(mcp.call_tool("drop", {}))}


async def end(job: Job) -> dict:
    async with session(job) as mcp:
        await mcp.list_tools()
    return {}


async def cancel(job: Job) -> dict:
    async with session(job) as mcp:
        call = asyncio.create_task(mcp.call_tool("hang", {"token": job.token}))
        begun = await job.awaited(f"hanging/{job.token}")
        params = types.CancelledNotificationParams(requestId=begun["request"], reason="the test says so")
        await mcp.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
        await job.awaited(f"cancelled/{job.token}")
        await asyncio.wait([call])
        # The session is still good for the next call.
        return {"tools": len((await mcp.list_tools()).tools)}


async def large(job: Job) -> dict:
    async with session(job) as mcp:
        times = job.args["times"]
        down = await text(mcp.call_tool("repeat", {"text": "åb\u2028", "times": times}))
        up = await text(mcp.call_tool("repeat", {"text": "åb\u2028" * times, "times": 1}))
        return {"down": len(down), "up": len(up), "same": down == up}


async def sse(job: Job) -> dict:
    """Connects as clients did before Streamable HTTP."""
    async with sse_client(job.url, headers=job.headers) as (read, write), ClientSession(read, write) as mcp:
        await mcp.initialize()
        return {}


if __name__ == "__main__":
    run(tools, progress, sampling, elicitation, resources, prompts, notifications, resume, end, cancel, large, sse)
