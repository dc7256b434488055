"""A small MCP server to put behind AI Proxy: two tools, one optional API key.

    MCP_API_KEY   callers must send this value in an `api-key` header;
                  unset or empty turns the check off (local experiments only)
    HOST, PORT    where to listen; 0.0.0.0 and 8000 when unset

The MCP endpoint is /mcp, over Streamable HTTP.
"""

import logging
import os
import secrets
from datetime import datetime, timezone

import uvicorn
from fastmcp import FastMCP
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger(__name__)

API_KEY = os.environ.get("MCP_API_KEY", "")

mcp = FastMCP("Demo MCP Server")


class ApiKeyMiddleware:
    """Answers 401 unless the `api-key` header is the one this server was given.

    Plain ASGI rather than Starlette's BaseHTTPMiddleware, so that event
    streams reach the client as they are written.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or self.admits(scope):
            await self.app(scope, receive, send)
            return
        logger.warning("Refused a request: its api-key is missing or wrong")
        refusal = JSONResponse({"error": "Unauthorized"}, status_code=401)
        await refusal(scope, receive, send)

    @staticmethod
    def admits(scope) -> bool:
        """Whether the caller knows the key; takes equally long for every wrong one."""
        if not API_KEY:
            return True
        provided = Headers(scope=scope).get("api-key", "")
        return secrets.compare_digest(provided.encode(), API_KEY.encode())


@mcp.tool()
def echo(message: str) -> str:
    """Sends the message back as it came."""
    return message


@mcp.tool()
def get_current_utc_time() -> str:
    """The time in UTC at this moment, as ISO 8601 writes it."""
    return datetime.now(timezone.utc).isoformat()


def main() -> None:
    if not API_KEY:
        logger.warning("MCP_API_KEY is not set: anyone who reaches this server may use it")
    app = mcp.http_app(
        path="/mcp",
        transport="streamable-http",
        middleware=[Middleware(ApiKeyMiddleware)],
    )
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ.get("PORT", "8000")),
    )


if __name__ == "__main__":
    main()
