"""What a receiver's answer becomes, whatever its headers hold."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flags.export.destination import Destination
from flags.export.receiver import Receiver, SendOutcome


class Busy(BaseHTTPRequestHandler):
    """It answers 503, with the Retry-After that the path of the request names by number."""

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Retry-After", list(WAITS)[int(self.path.rpartition("/")[2])])
        self.send_header("Content-Length", "0")
        self.end_headers()


WAITS = {
    "2": 2,
    "31536000": 600,
    "inf": 600,
    "nan": 0,
    "-5": 0,
    "Fri, 31 Dec 9999 23:59:59 GMT": 600,
    f"Fri, 31 Dec {'9' * 30} 23:59:59 GMT": 0,
    f"Fri, 31 Dec 9999 {'9' * 30}:59:59 GMT": 0,
    f"Fri, 31 Dec 9999 23:59:59 +{'9' * 30}": 0,
    "soon": 0,
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("asked", WAITS)
def test_a_receiver_is_waited_for_as_long_as_it_asks_and_ten_minutes_at_most(
    url: str, asked: str
) -> None:
    receiver = Receiver(Destination(f"{url}/{list(WAITS).index(asked)}"))
    result = receiver.send(b"{}")
    receiver.close()
    assert (result.outcome, result.reason) == (SendOutcome.UNAVAILABLE, "http_503")
    assert result.retry_after == WAITS[asked]
