"""A webhook that an operational alarm asks."""

from tests.support.loopback_server import LoopbackServer, QuietExchange


class Webhook(LoopbackServer):
    """Answers a GET with whatever a test sets; keeps what was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.asked: list[tuple[str, str | None]] = []
        webhook = self

        class Exchange(QuietExchange):
            def do_GET(self) -> None:  # noqa: N802  # as http.server calls it
                webhook.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(webhook.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(webhook.body)))
                self.end_headers()
                self.wfile.write(webhook.body)

        super().__init__(Exchange)

    @property
    def url(self) -> str:
        return f"http://{self.place}"
