"""Accept requests under known host names only, against DNS rebinding.

A page of an attacker whose own name resolves to this service is of the same origin to a browser;
what tells it apart is the Host header, which then holds the attacker's name.
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
    """ASGI middleware: 421 for a request whose host is none of `hosts`.

    Loopback, and the address that the connection came to, are known without being named.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it in words."""
        if scope["type"] == "http":
            host = _name(HTTPConnection(scope).headers.get("host", ""))
            if not self._is_known(host, scope):
                said = "this host is not known here: name it in MIGRATION_HOSTS"
                await JSONResponse({"error": said}, 421)(scope, receive, send)
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
    """Return the host of a Host header without its port; an empty one is not a host."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""
