"""A FastMCP client without a key. It calls `echo` with each line of its input, and prints the result.

It signs in in the browser that BROWSER names. What it was allowed is kept in a folder, if it is given one. With
`--bridge` it knows nothing of all this: a program that it starts signs in.
"""

import asyncio
import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


def store(folder: Path):
    # fastmcp2 comes without it.
    from key_value.aio.stores import filetree

    folder.mkdir(exist_ok=True)
    return filetree.FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=filetree.FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=filetree.FileTreeV1CollectionSanitizationStrategy(folder),
    )


async def call(client: Client, message: str) -> str:
    try:
        async with client:
            answer = await client.call_tool("echo", {"message": message})
            return f"answer: {answer.content[0].text}"
    except Exception as error:
        return " ".join(["error:", *str(error).split()])


async def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--key", help="is sent in every call")
    parser.add_argument("--bridge", help="speaks MCP over stdio, and with the URL that it is given")
    given = parser.parse_args()

    def client() -> Client:
        if given.bridge:
            return Client(StdioTransport(given.bridge, [given.url], env=dict(os.environ)))
        auth = OAuth(given.url, token_storage=given.store and store(given.store))
        headers = {"api-key": given.key} if given.key else {}
        return Client(StreamableHttpTransport(given.url, headers=headers, auth=auth))

    windows = [client() for _ in range(given.windows)]
    while message := (await asyncio.to_thread(sys.stdin.readline)).strip():
        for done in asyncio.as_completed([call(window, message) for window in windows]):
            print(await done)


asyncio.run(main())
