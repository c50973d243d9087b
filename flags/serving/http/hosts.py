"""Protection against DNS rebinding: only requests to known host names are accepted.

If an attacker's host name resolves to this service, a browser takes the attacker's page and this
service for the same origin. Only the Host header differs: it has the attacker's name.
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flags.bounded_http import is_loopback

ANY: Final = "*"


class KnownHosts:
    """ASGI middleware that answers 421 to a request whose host is not in `hosts`.

    Loopback, and the address at which the connection arrived, are always known.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with an explanation."""
        if scope["type"] == "http":
            host = _name(HTTPConnection(scope).headers.get("host", ""))
            if not self._is_known(host, scope):
                message = "this host is not known here: name it in MIGRATION_HOSTS"
                await JSONResponse({"error": message}, 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_known(self, host: str, scope: Scope) -> bool:
        if ANY in self._hosts or host in self._hosts or is_loopback(host):
            return True
        served = scope.get("server")
        return served is not None and _is_address(host) and host == str(served[0]).lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(header: str) -> str:
    """Return the host of a Host header without its port; empty if the header is malformed."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""
