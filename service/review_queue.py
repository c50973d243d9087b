"""The queue of payments that wait for a reviewer, and a webhook that reports its length.

It is an example of a system that both models share and that no pair shows: a team of reviewers with
the capacity for the primary's alarms.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

from service.replay import Reply

PAYMENTS_A_REVIEW: Final = 320
"""One payment is reviewed in the time of so many payments: the primary's alarm rate."""

MAX_WAITING: Final = 4
"""Payments that may wait."""


class ReviewQueue:
    """The queue, and a webhook that answers `hold` while too many payments wait.

    Time is counted in payments, so that the queue does not depend on the speed of the machine.
    """

    def __init__(self, payments_a_review: int = PAYMENTS_A_REVIEW, most: int = MAX_WAITING) -> None:
        self._each, self._most = payments_a_review, most
        self._waiting = self._worked = self._longest = 0
        self._lock = threading.Lock()
        queue = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # as http.server calls it
                body = json.dumps(queue.decision()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Do not log: the terminal shows the demo's output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Return the address of the webhook."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def longest(self) -> int:
        """Return the largest number of payments that have waited at once."""
        return self._longest

    def take(self, reply: Reply) -> None:
        """Advance the time by one payment; a payment with an alarm joins the queue."""
        with self._lock:
            if reply.status == 200 and reply.body["alarm"]:
                self._waiting += 1
                self._longest = max(self._longest, self._waiting)
            if self._waiting:
                self._worked += 1
            if self._worked == self._each:
                self._waiting, self._worked = self._waiting - 1, 0

    def decision(self) -> dict[str, str]:
        """Return the webhook's answer."""
        with self._lock:
            waiting = self._waiting
        return {
            "decision": "hold" if waiting > self._most else "pass",
            "reason": f"payments that wait for a reviewer: {waiting}, at most {self._most} should",
        }
