"""What must not happen on any page, noted while it happens."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError


class Watch:
    """Complaints about the pages of one browser context, in the order they came."""

    def __init__(self, context: BrowserContext, origin: str):
        self.context = context
        self.complaints: list[str] = []
        self._origin = urlsplit(origin)
        context.on("console", self._said)
        context.on("weberror", self._failed)
        context.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        # A refused form or a page that is not there is an answer, which tests look at themselves.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(f"{message.location.get('url')}: {message.text}")

    def _failed(self, error: WebError) -> None:
        self.complaints.append(f"{error.page and error.page.url}: {error.error}")

    def _asked(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme in ("http", "https", "ws", "wss") and to.netloc != self._origin.netloc:
            self.complaints.append(f"a request to {request.url}")
