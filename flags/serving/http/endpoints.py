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

_CACHE_SECONDS: Final = 0.5
"""Seconds for which a document is cached: workers write their state once a second."""


class CachedDocument:
    """A document that is made in a thread and cached for `_CACHE_SECONDS`."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._document: bytes | None = None
        self._at = -math.inf
        self._lock = asyncio.Lock()

    async def get(self) -> bytes:
        """Return the document; raises the errors of `make`."""
        if (document := self._cached()) is not None:
            return document
        async with self._lock:
            if (document := self._cached()) is None:
                # In a thread, because it reads files.
                self._document = document = await asyncio.to_thread(self._make)
                self._at = time.monotonic()
        return document

    def _cached(self) -> bytes | None:
        return self._document if time.monotonic() - self._at < _CACHE_SECONDS else None


def endpoints(source: LiveSource) -> Starlette:
    """Return the application to mount at the root, because the page's path ends without a slash."""

    live_data = CachedDocument(lambda: source.data().to_json())

    async def workers(_request: Request) -> Response:
        # Never cached: a rollback would count workers as followed that it has not reached yet.
        return _json(await asyncio.to_thread(lambda: source.workers().to_json()))

    async def live(_request: Request) -> Response:
        return _json(await live_data.get())

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

    The page is static. Its script fetches the data as JSON and sets them as text.
    """
    text = files("flags.serving.http").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    script, style = (_csp_hash(tag, text) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


def _csp_hash(tag: str, text: str) -> str:
    """Return the hash source that allows the only inline element `tag` (CSP level 3, 2.3.1)."""
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
