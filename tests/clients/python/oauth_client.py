"""A FastMCP client without a key: it signs in in the browser that BROWSER names, then lists the tools and calls one."""

import asyncio
import sys

from fastmcp import Client


async def main(url: str) -> None:
    async with Client(url, auth="oauth") as client:
        print("tools:", *sorted(tool.name for tool in await client.list_tools()))
        answer = await client.call_tool("echo", {"message": "signed in"})
        print("answer:", answer.content[0].text)


asyncio.run(main(sys.argv[1]))
