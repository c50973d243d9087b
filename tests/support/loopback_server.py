"""A web server on a free port of the loopback interface, for as long as a test needs it."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


class QuietExchange(BaseHTTPRequestHandler):
    """One request and its answer, without a line in the log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class LoopbackServer:
    """Answers with `exchange`, in threads, while its context is open."""

    def __init__(
        self,
        exchange: type[QuietExchange],
        server: type[ThreadingHTTPServer] = ThreadingHTTPServer,
    ) -> None:
        self._server = server(("127.0.0.1", 0), exchange)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def place(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
