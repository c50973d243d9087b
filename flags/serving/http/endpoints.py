"""The endpoints under /migration, for operators: read-only, without secrets."""

import asyncio
import base64
import functools
import hashlib
import math
import re
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flags.monitoring.worker_state import LIVE_PATH, WORKERS_PATH
from flags.serving.http.hosts import KnownHosts
from flags.serving.http.live import LiveSource

PAGE_PATH: Final = "/migration"
"""Route of the live page, after the service's path prefix."""

_TEMPLATE: Final = "live_page.html"

_FRESH: Final = 0.5
"""Seconds for which an answer is given again: workers tell of themselves once a second."""


class CachedDocument:
    """A document that is made in a thread, once for all who ask for it within `_FRESH` seconds."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._made: bytes | None = None
        self._at = -math.inf
        self._lock = asyncio.Lock()

    async def get(self) -> bytes:
        """Return the document; raises what making it raises."""
        if (made := self._fresh()) is not None:
            return made
        async with self._lock:
            if (made := self._fresh()) is None:
                self._made = made = await asyncio.to_thread(self._make)  # it reads files
                self._at = time.monotonic()
        return made

    def _fresh(self) -> bytes | None:
        return self._made if time.monotonic() - self._at < _FRESH else None


def endpoints(source: LiveSource) -> Starlette:
    """Return the application to mount at the root: the page itself has no slash at its end."""

    of_live = CachedDocument(lambda: source.look().to_json())

    async def workers(_request: Request) -> Response:
        # Never an older answer: a rollback would take workers that it has not reached for followed.
        return _json(await asyncio.to_thread(lambda: source.workers().to_json()))

    async def live(_request: Request) -> Response:
        return _json(await of_live.get())

    async def page(_request: Request) -> Response:
        text, policy = _page()
        headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-cache",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        return Response(text, media_type="text/html", headers=headers)

    return Starlette(
        routes=[
            Route(PAGE_PATH, page, methods=["GET"]),
            Route(LIVE_PATH, live, methods=["GET"]),
            Route(WORKERS_PATH, workers, methods=["GET"]),
        ],
        middleware=[Middleware(KnownHosts, hosts=source.settings.migration_hosts)],
    )


def _json(text: bytes) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(text, media_type="application/json", headers=headers)


@functools.cache
def _page() -> tuple[str, str]:
    """Return the page and its Content-Security-Policy: its own script and style, nothing else.

    Nothing is filled in: what the service says comes as JSON, and is set as text by the script.
    """
    text = files("flags.serving.http").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    script, style = (_source_of(tag, text) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


def _source_of(tag: str, text: str) -> str:
    """Return the hash that allows the one inline element `tag` (CSP level 3, 2.3.1)."""
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
