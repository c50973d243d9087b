"""Stand before the real Unleash and give the faults that it cannot be made to give by itself."""

import http.client
import threading
import time
from collections import Counter
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

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


class FaultyProxy:
    """An HTTP proxy on a free loopback port; `fault` may be changed at any time.

    `asked` counts the requests by path, `tokens` are those that were sent along. `admin_token` is
    what `FORBIDDEN` sends.
    """

    def __init__(self, upstream: str, admin_token: str = "") -> None:
        self.fault = Fault.NONE
        self.asked: Counter[str] = Counter()
        self.tokens: set[str | None] = set()
        self.closing = threading.Event()
        self._upstream = urlsplit(upstream)
        self._tokens = {
            Fault.UNAUTHORISED: "*:development.a-token-that-nobody-made",
            Fault.FORBIDDEN: admin_token,
        }
        self._server = _Server(("127.0.0.1", 0), _Exchange)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Base URL, without `/api`."""
        return f"http://127.0.0.1:{self._server.server_port}"

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
        connection = http.client.HTTPConnection(
            self._upstream.hostname or "", self._upstream.port, timeout=5
        )
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            kept = {name: answer.headers[name] for name in _PASSED_BACK if answer.headers[name]}
            return answer.status, kept, answer.read()
        except OSError:
            return 502, {}, b""
        finally:
            connection.close()

    def outlasts(self, fault: Fault, seconds: float) -> bool:
        """Wait until the fault is another one; say whether it lasted for `seconds`."""
        end = time.monotonic() + seconds
        while self.fault is fault and not self.closing.is_set():
            left = end - time.monotonic()
            if left <= 0:
                return True
            self.closing.wait(min(left, 0.05))
        return False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    proxy: FaultyProxy
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that gives up is what the faults are about."""


class _Exchange(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        proxy = self.server.proxy
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

    def do_POST(self) -> None:
        self.do_GET()

    def _send(
        self, status: int, headers: dict[str, str], content: bytes, fault: Fault = Fault.NONE
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
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

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
