"""The queue of payments that wait for a reviewer, and the web server that says how long it is.

It stands for a system that the two models share and that no pair shows: a team of reviewers who
were hired for the primary's alarms.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

from service.replay import Reply

PAYMENTS_A_REVIEW: Final = 320
"""In the time of so many payments, one is reviewed: the primary raises an alarm as often."""

MOST: Final = 4
"""Payments that may wait."""


class ReviewQueue:
    """The queue, and a webhook that says `hold` while too many wait.

    Its clock is the payments, so that a slow machine has no shorter queue than a fast one.
    """

    def __init__(self, payments_a_review: int = PAYMENTS_A_REVIEW, most: int = MOST) -> None:
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
                """Leave the terminal to the demo."""

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
        """Return how many have waited at once, at most."""
        return self._longest

    def take(self, reply: Reply) -> None:
        """Let time go on by a payment; one with an alarm joins the queue."""
        with self._lock:
            if reply.status == 200 and reply.body["alarm"]:
                self._waiting += 1
                self._longest = max(self._longest, self._waiting)
            if self._waiting:
                self._worked += 1
            if self._worked == self._each:
                self._waiting, self._worked = self._waiting - 1, 0

    def decision(self) -> dict[str, str]:
        """Return what the webhook says."""
        with self._lock:
            waiting = self._waiting
        return {
            "decision": "hold" if waiting > self._most else "pass",
            "reason": f"payments that wait for a reviewer: {waiting}, at most {self._most} should",
        }
