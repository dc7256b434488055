"""A server that closes idle connections early (gunicorn: after 2 s), at the worst moment.

The first connection is closed in time, so that it can be learned how long one
may lie idle. Later ones are closed when the next request arrives, which is
then never read: so it looks when the two cross on their way.

Signs it gives: `rested/<n>` what the n-th request of a test came on has lain
idle for as long as the server allows, or is gone; `crossed` a request was lost.
"""

from itertools import count

from control import Watch, give, serve
from fastmcp import FastMCP
from starlette.middleware import Middleware
from uvicorn.protocols.http.h11_impl import H11Protocol

IDLE = 0.3
"""Seconds that a connection may lie idle."""

mcp = FastMCP("Closing")


@mcp.tool
def echo(message: str) -> str:
    return message


class Closing(H11Protocol):
    numbers = count(1)
    number = 0
    is_over = False

    def on_response_complete(self):
        if any(name == b"x-test-mark" for name, _ in self.scope["headers"]):
            self.number = next(self.numbers)
        super().on_response_complete()

    def timeout_keep_alive_handler(self):
        if self.number > 1:
            self.is_over = True
        else:
            super().timeout_keep_alive_handler()
        give(f"rested/{self.number}")

    def data_received(self, data):
        if self.is_over:
            give("crossed")
            self.transport.abort()
        else:
            super().data_received(data)

    def connection_lost(self, exc):
        super().connection_lost(exc)
        give(f"rested/{self.number}")


if __name__ == "__main__":
    app = mcp.http_app(
        path="/mcp", transport="streamable-http", stateless_http=True, json_response=True,
        middleware=[Middleware(Watch)],
    )
    serve(app, http=Closing, timeout_keep_alive=IDLE)
