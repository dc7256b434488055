"""A server such as a workshop has: the weather of three cities."""

from control import Watch, serve
from fastmcp import FastMCP
from starlette.middleware import Middleware

mcp = FastMCP("Weather")

DEGREES = {"Berlin": [14, 17, 21], "Lisbon": [23, 24, 22], "Oslo": [6, 9, 8]}


@mcp.tool
def current_weather(city: str) -> str:
    """The weather at this moment."""
    return f"{DEGREES[city][0]} °C in {city}"


@mcp.tool
def forecast(city: str, days: int) -> list[str]:
    """The weather of the next days."""
    return [f"{degrees} °C" for degrees in DEGREES[city][:days]]


if __name__ == "__main__":
    serve(mcp.http_app(path="/mcp", transport="streamable-http", middleware=[Middleware(Watch)]))
