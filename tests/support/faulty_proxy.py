"""Stand before the real Unleash and give the faults that it cannot be made to give by itself."""

import time
from collections import Counter
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from tests.support.proxy import Exchange, Proxy

SLOW_SECONDS: Final = 10.0
TRICKLE_SECONDS: Final = 4.0
FEATURES: Final = "/api/client/features"

_PIECES: Final = 40

_PASSED_ON: Final = ("Authorization", "Content-Type", "If-None-Match", "Accept")
_PASSED_BACK: Final = ("Content-Type", "ETag")


class Fault(Enum):
    """What the proxy does with every request."""

    NONE = "passes it on"
    UNAUTHORISED = "passes it on with a token that Unleash does not know: its own 401"
    FORBIDDEN = "passes it on with an admin token: its own 403"
    TOO_MANY = "answers 429"
    FAILS = "answers 500"
    HTML = "answers a log-in page with status 200"
    EMPTY = "answers an empty list of flags"
    TRUNCATED = "answers the first half of the flags as if it were the whole"
    CUT_OFF = "closes the connection after the first half of the flags"
    SILENT = "never answers"
    SLOW = "answers after ten seconds"
    TRICKLES = "answers at once, in pieces over four seconds"
    GONE = "closes the connection without a word"


_CANNED: Final = {
    Fault.TOO_MANY: (429, "text/plain", b"Too many requests, please try again later."),
    Fault.FAILS: (500, "application/json", b'{"message":"internal error"}'),
    Fault.HTML: (200, "text/html", b"<!doctype html><title>Log in</title><p>Please log in."),
    Fault.EMPTY: (200, "application/json", b'{"version":2,"features":[]}'),
}


class FaultyProxy(Proxy):
    """A proxy whose `fault` may be changed at any time.

    `asked` counts the requests by path, `tokens` are those that were sent along. `admin_token` is
    what `FORBIDDEN` sends.
    """

    def __init__(self, upstream: str, admin_token: str = "") -> None:
        super().__init__(upstream, _Exchange)
        self.fault = Fault.NONE
        self.asked: Counter[str] = Counter()
        self.tokens: set[str | None] = set()
        self._tokens = {
            Fault.UNAUTHORISED: "*:development.a-token-that-nobody-made",
            Fault.FORBIDDEN: admin_token,
        }

    @property
    def sdk_url(self) -> str:
        """URL that the SDK wants."""
        return f"{self.url}/api"

    def upstream(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the real server; 502 if it is not there."""
        if self.fault in self._tokens:
            headers = {**headers, "Authorization": self._tokens[self.fault]}
        status, answered, content = self.ask(method, path, headers, body)
        return status, {name: answered[name] for name in _PASSED_BACK if answered[name]}, content

    def outlasts(self, fault: Fault, seconds: float) -> bool:
        """Wait until the fault is another one; say whether it lasted for `seconds`."""
        end = time.monotonic() + seconds
        while self.fault is fault and not self.closing.is_set():
            left = end - time.monotonic()
            if left <= 0:
                return True
            self.closing.wait(min(left, 0.05))
        return False


class _Exchange(Exchange):
    def do_GET(self) -> None:  # noqa: N802 - http.server names it
        proxy: FaultyProxy = self.server.proxy
        fault = proxy.fault
        path = urlsplit(self.path).path
        proxy.asked[path] += 1
        proxy.tokens.add(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault in _CANNED:
            status, kind, content = _CANNED[fault]
            self._send(status, {"Content-Type": kind}, content)
            return
        if fault is Fault.GONE:
            return
        if fault is Fault.SILENT:
            proxy.outlasts(fault, float("inf"))
            return
        if fault is Fault.SLOW:
            proxy.outlasts(fault, SLOW_SECONDS)
        headers = {name: self.headers[name] for name in _PASSED_ON if self.headers[name]}
        if fault in (Fault.TRUNCATED, Fault.CUT_OFF, Fault.TRICKLES):
            headers.pop("If-None-Match", None)  # a 304 has no body to spoil
        status, kept, content = proxy.upstream(self.command, self.path, headers, body)
        if fault is Fault.TRUNCATED:
            content = content[: len(content) // 2]
        self._send(status, kept, content, fault)

    def do_POST(self) -> None:  # noqa: N802 - http.server names it
        self.do_GET()

    def _send(
        self, status: int, headers: dict[str, str], content: bytes, fault: Fault = Fault.NONE
    ) -> None:
        self.send_head(status, headers, len(content))
        if fault is Fault.CUT_OFF:
            self.wfile.write(content[: len(content) // 2])
        elif fault is Fault.TRICKLES:
            self._trickle(content)
        else:
            self.wfile.write(content)

    def _trickle(self, content: bytes) -> None:
        size = len(content) // _PIECES + 1
        for position in range(0, len(content), size):
            if not self.server.proxy.outlasts(Fault.TRICKLES, TRICKLE_SECONDS / _PIECES):
                return
            self.wfile.write(content[position : position + size])
