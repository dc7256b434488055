"""A server without sessions that gives everybody the same session id all the same."""

from control import Watch, serve
from fastmcp import FastMCP
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware

mcp = FastMCP("Constant")


@mcp.tool
def echo(message: str) -> str:
    return message


class Constant:
    """ASGI middleware: every answer names the session `stateless`."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def sending(message):
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["mcp-session-id"] = "stateless"
            await send(message)

        await self.app(scope, receive, sending)


if __name__ == "__main__":
    serve(
        mcp.http_app(
            path="/mcp",
            transport="streamable-http",
            stateless_http=True,
            middleware=[Middleware(Watch), Middleware(Constant)],
        )
    )
