"""A small server that speaks OpenAI's chat protocol, with a model that answers by a rule."""

import json
from collections.abc import Callable

from tests.support.loopback_server import LoopbackServer, QuietExchange


class ChatServer(LoopbackServer):
    """Replies to each message with what `reply` makes of it; keeps what it was asked.

    `refuse` names the HTTP statuses with which it answers first, one after the other.
    """

    def __init__(self, reply: Callable[[str], str]) -> None:
        self.refuse: list[int] = []
        self.asked: list[dict[str, object]] = []
        self.keys: set[str | None] = set()
        server = self

        class Exchange(QuietExchange):
            def do_POST(self) -> None:  # noqa: N802  # as http.server calls it
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.keys.add(self.headers["Authorization"])
                if self.path != "/v1/chat/completions":
                    self._send(404, {"error": {"message": "no such path", "type": "not_found"}})
                elif server.refuse:
                    self._send(server.refuse.pop(0), {"error": {"message": "not now"}})
                else:
                    server.asked.append(body)
                    said = reply(body["messages"][-1]["content"])
                    self._send(200, _completion(body["model"], said))

            def _send(self, status: int, answer: object) -> None:
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Retry-After-Ms", "1")
                self.end_headers()
                self.wfile.write(content)

        super().__init__(Exchange)

    @property
    def url(self) -> str:
        """Return the base address of the API."""
        return f"http://{self.place}/v1"


def _completion(model: str, text: str) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_764_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1_000},
    }
