"""Lists and calls the tools of an MCP server through AI Proxy.

    PROXY_ENDPOINT   the proxy's API, e.g. http://127.0.0.1:8910/api/v1
    PROXY_API_KEY    your attendee API key
    MCP_DEPLOYMENT   the deployment name of the MCP server; mcp-demo when unset
"""

import asyncio
import os
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


def setting(name: str) -> str:
    """The value of an environment variable that this client cannot do without."""
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"Set {name} first:\n{__doc__}")
    return value


async def main() -> None:
    endpoint = setting("PROXY_ENDPOINT").rstrip("/")
    api_key = setting("PROXY_API_KEY")
    deployment = os.environ.get("MCP_DEPLOYMENT") or "mcp-demo"

    transport = StreamableHttpTransport(
        url=f"{endpoint}/mcp/{deployment}/mcp",
        headers={"api-key": api_key},
    )
    async with Client(transport) as client:
        tools = await client.list_tools()
        print(f"Available tools: {[tool.name for tool in tools]}")

        echoed = await client.call_tool("echo", {"message": "Hello!"})
        print(f"Echo: {echoed.content[0].text}")

        now = await client.call_tool("get_current_utc_time", {})
        print(f"Time: {now.content[0].text}")


if __name__ == "__main__":
    asyncio.run(main())
