"""The FastMCP client: one text for its generations 2, 3 and 4."""

import asyncio
from contextlib import AsyncExitStack

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StreamableHttpTransport
from job import Heard, Job, causes, run


def client(job: Job, **options) -> Client:
    return Client(StreamableHttpTransport(job.url, headers=job.headers), **options)


async def text(call) -> str:
    return (await call).content[0].text


async def tools(job: Job) -> dict:
    async with client(job) as mcp:
        names = [tool.name for tool in await mcp.list_tools()]
        echoed = await text(mcp.call_tool("echo", {"message": job.args["message"]}))
        return {"tools": names, "echo": echoed, "time": await text(mcp.call_tool("get_current_utc_time", {}))}


async def progress(job: Job) -> dict:
    seen = []

    async def on_progress(progress, total, message):
        seen.append([progress, total, message])
        await job.give(f"{job.token}/{int(progress)}")

    async with client(job) as mcp:
        arguments = {"token": job.token, "count": job.args["count"]}
        result = await text(mcp.call_tool("steps", arguments, progress_handler=on_progress))
        return {"seen": seen, "result": result}


async def sampling(job: Job) -> dict:
    asked = []

    async def model(messages, params, context):
        asked.append([messages[0].content.text, getattr(params, "system_prompt", None) or params.systemPrompt])
        return "forty-two"

    async with client(job, sampling_handler=model) as mcp:
        result = await text(mcp.call_tool("ask_model", {"question": "What is it?"}))
        return {"asked": asked, "result": result}


async def elicitation(job: Job) -> dict:
    asked = []

    async def person(message, response_type, params, context):
        asked.append(message)
        return {"value": "Ada"}

    async with client(job, elicitation_handler=person) as mcp:
        result = await text(mcp.call_tool("ask_person", {"question": "Your name?"}))
        return {"asked": asked, "result": result}


async def resources(job: Job) -> dict:
    async with client(job) as mcp:
        listed = [str(resource.uri) for resource in await mcp.list_resources()]
        today = await mcp.read_resource("note://today")
        room = await mcp.read_resource("note://room/lovelace")
        return {"listed": listed, "today": today[0].text, "room": room[0].text}


async def prompts(job: Job) -> dict:
    async with client(job) as mcp:
        listed = [prompt.name for prompt in await mcp.list_prompts()]
        prompt = await mcp.get_prompt("greet", {"name": "Ada"})
        return {"listed": listed, "prompt": prompt.messages[0].content.text}


async def notifications(job: Job) -> dict:
    heard = Heard()

    async def on_message(message):
        told = getattr(message, "root", message)
        if hasattr(told, "method"):
            heard.add(told.method)

    async with client(job, message_handler=on_message) as mcp:
        await mcp.call_tool("announce", {})
        return {"heard": sorted(await heard.both())}


async def resume(job: Job) -> dict:
    async with client(job) as mcp:
        return {"result": await text(mcp.call_tool("drop", {}))}


async def end(job: Job) -> dict:
    async with client(job) as mcp:
        await mcp.list_tools()
    return {}


async def cancel(job: Job) -> dict:
    async with client(job) as mcp:
        call = asyncio.create_task(mcp.call_tool("hang", {"token": job.token, **job.args}))
        begun = await job.awaited(f"hanging/{job.token}")
        if "speak" in job.args:  # the discover era: leaving is the cancel
            call.cancel()
        else:  # the server answers a cancelled call, with an error
            await mcp.cancel(begun["request"], "the test says so")
        await job.awaited(f"cancelled/{job.token}")
        await asyncio.wait([call])
        # The session is still good for the next call.
        return {"tools": len(await mcp.list_tools())}


async def large(job: Job) -> dict:
    async with client(job) as mcp:
        times = job.args["times"]
        down = await text(mcp.call_tool("repeat", {"text": "åb\u2028", "times": times}))
        up = await text(mcp.call_tool("repeat", {"text": "åb\u2028" * times, "times": 1}))
        return {"down": len(down), "up": len(up), "same": down == up}


async def too_large(job: Job) -> dict:
    """Sends more than the server takes, again and again, and something small after each."""
    told, echoes = [], []
    async with client(job) as mcp:
        for size in job.args["sizes"]:
            try:
                await mcp.call_tool("echo", {"message": "a" * size})
                told.append("nothing")
            except Exception as error:
                told.append(str(error).replace(job.url, "URL"))
            echoes.append(await text(mcp.call_tool("echo", {"message": f"after {size}"})))
    return {"told": told, "echoes": echoes}


async def whereabouts(job: Job) -> list[list[str]]:
    """Which instance of a server answers each call of each session; all sessions are open at once."""
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(client(job)) for _ in range(job.args["sessions"])]

        async def asked(mcp: Client) -> list[str]:
            return [await text(mcp.call_tool("where", {})) for _ in range(job.args["calls"])]

        return await asyncio.gather(*(asked(mcp) for mcp in sessions))


async def side_by_side(job: Job) -> dict:
    """Two people at once: the second comes while the first is there, and leaves before them."""
    first = client(job)
    second = Client(StreamableHttpTransport(job.url, headers=job.headers | job.args["others_headers"]))

    async def echo(mcp: Client, message: str) -> str:
        return await text(mcp.call_tool("echo", {"message": message}))

    async with first:
        echoes = [await echo(first, "alone")]
        async with second:
            for turn in range(3):
                echoes += [await echo(second, f"second {turn}"), await echo(first, f"first {turn}")]
            echoes += await asyncio.gather(echo(first, "together"), echo(second, "together"))
        echoes.append(await echo(first, "alone again"))
    return {"echoes": echoes}


async def sse(job: Job) -> dict:
    """Connects as clients did before Streamable HTTP."""
    async with Client(SSETransport(job.url, headers=job.headers)):
        return {}


async def workers(job: Job) -> dict:
    """Every worker has a session of its own and makes three calls a round."""
    failures = []

    async def worker(number: int) -> int:
        done = 0
        try:
            async with client(job) as mcp:
                for turn in range(job.args["rounds"]):
                    message = f"worker {number}, round {turn}"
                    assert len(await mcp.list_tools()) == 2
                    assert await text(mcp.call_tool("echo", {"message": message})) == message
                    assert await text(mcp.call_tool("get_current_utc_time", {}))
                    done += 3
        except BaseException as error:
            failures.append(causes(error))
        return done

    done = await asyncio.gather(*(worker(number) for number in range(job.args["workers"])))
    return {"calls": sum(done), "failures": failures}


if __name__ == "__main__":
    run(
        tools, progress, sampling, elicitation, resources, prompts, notifications,
        resume, end, cancel, large, too_large,
        whereabouts, side_by_side, sse, workers,
    )
