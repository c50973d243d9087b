"""A web server that takes messages."""

import json
from typing import Any

from tests.support.loopback_server import LoopbackServer, QuietExchange


class Receiver(LoopbackServer):
    """A web server that takes messages as apprise's `json://` sends them."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[dict[str, Any]] = []
        receiver = self

        class Exchange(QuietExchange):
            def do_POST(self) -> None:  # noqa: N802  # as http.server calls it
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.taken.append(json.loads(body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Exchange)

    @property
    def url(self) -> str:
        return f"json://{self.place}/s3cr3t"
