"""A webhook that an operational alarm asks."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


class Webhook:
    """Answers a GET with whatever a test sets; keeps what was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.asked: list[tuple[str, str | None]] = []
        webhook = self

        class Exchange(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                webhook.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(webhook.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(webhook.body)))
                self.end_headers()
                self.wfile.write(webhook.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
