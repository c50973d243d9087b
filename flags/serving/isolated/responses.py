"""Carry a response that the candidate returns to the worker: as it would have been sent."""

from typing import Any, NamedTuple

from starlette.responses import FileResponse, Response
from starlette.types import Message


class SentResponse(NamedTuple):
    """A response with its body."""

    status_code: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def restored(self) -> Response:
        """Return the response."""
        response = Response(self.body, self.status_code)
        response.raw_headers = list(self.headers)
        return response


class SentFile(NamedTuple):
    """A response that is a file: read by whoever sends it."""

    state: dict[str, Any]

    def restored(self) -> Response:
        """Return the response."""
        response = FileResponse.__new__(FileResponse)
        response.__dict__.update(self.state)
        return response


def needs_running(response: Response) -> bool:
    """Say whether its body is made only while it is sent."""
    return type(response).__call__ is not Response.__call__


def carried(response: Response) -> SentResponse | SentFile:
    """Return a response that has its body, or is a file, as it can travel."""
    if isinstance(response, FileResponse):
        return SentFile({**vars(response), "background": None})
    return SentResponse(response.status_code, response.raw_headers, bytes(response.body))


async def run(response: Response) -> SentResponse:
    """Return what `response` sends, to its end."""
    status, headers, parts = response.status_code, response.raw_headers, list[bytes]()

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        else:
            parts.append(bytes(message.get("body", b"")))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    # A version in which a response watches for a caller that leaves only by sending to it.
    scope = {"type": "http", "method": "POST", "headers": [], "asgi": {"spec_version": "2.4"}}
    await response(scope, receive, send)
    return SentResponse(status, headers, b"".join(parts))
