"""A server such as a workshop has: the handouts of the day."""

from control import Watch, serve
from fastmcp import FastMCP
from starlette.middleware import Middleware

mcp = FastMCP("Documents")

HANDOUTS = {
    "agenda": "Welcome at nine, agents at ten, lunch at noon.",
    "wifi": "The network is called Workshop; its password is on the wall.",
    "tools": "A tool is a function that a model may ask for.",
}


@mcp.tool
def search(words: str) -> list[str]:
    """The names of the handouts that have all of the words."""
    return [name for name, text in HANDOUTS.items() if all(word in text for word in words.split())]


@mcp.tool
def read_document(name: str) -> str:
    """One handout."""
    return HANDOUTS[name]


@mcp.tool
def list_documents() -> list[str]:
    """The names of all handouts."""
    return list(HANDOUTS)


if __name__ == "__main__":
    serve(mcp.http_app(path="/mcp", transport="streamable-http", middleware=[Middleware(Watch)]))
