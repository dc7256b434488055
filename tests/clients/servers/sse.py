"""A server of the transport before Streamable HTTP: GET /sse, then POST /messages/."""

from control import Watch, serve
from fastmcp import FastMCP
from starlette.middleware import Middleware

mcp = FastMCP("SSE only")


@mcp.tool
def echo(message: str) -> str:
    return message


if __name__ == "__main__":
    serve(mcp.http_app(path="/mcp", transport="sse", middleware=[Middleware(Watch)]))
