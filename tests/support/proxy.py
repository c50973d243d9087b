"""Stand before a real server, on a port of its own, and pass on what a test lets through."""

import http.client
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


class Proxy:
    """An HTTP proxy on a free loopback port during the block; each request is an `Exchange`."""

    def __init__(self, upstream: str, exchange: type[BaseHTTPRequestHandler]) -> None:
        self.closing = threading.Event()
        self._scheme = "http"
        self._upstream = urlsplit(upstream)
        self._server = Server(("127.0.0.1", 0), exchange)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Base URL, without a path."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask the real server; 502 if it is not there."""
        connection = http.client.HTTPConnection(
            self._upstream.hostname or "", self._upstream.port, timeout=5
        )
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except OSError:
            return 502, http.client.HTTPMessage(), b""
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Server(ThreadingHTTPServer):
    """The socket of a proxy."""

    proxy: Any
    """The proxy, of whichever kind."""
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that gives up is what the faults are about."""


class Exchange(BaseHTTPRequestHandler):
    """One request to a proxy."""

    server: Server

    def send_head(self, status: int, headers: Mapping[str, str], length: int) -> None:
        """Send everything before a body of `length` bytes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
