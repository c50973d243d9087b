"""Responses that the candidate returned, in a form that can be pickled for the worker."""

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
    """A response that is a file, which the worker reads when it sends the response."""

    state: dict[str, Any]

    def restored(self) -> Response:
        """Return the response."""
        response = FileResponse.__new__(FileResponse)
        response.__dict__.update(self.state)
        return response


def needs_running(response: Response) -> bool:
    """Say whether the response makes its body only while it is sent."""
    return type(response).__call__ is not Response.__call__


def portable_response(response: Response) -> SentResponse | SentFile:
    """Return a response that has its body, or is a file, in a form that can be pickled."""
    if isinstance(response, FileResponse):
        return SentFile({**vars(response), "background": None})
    return SentResponse(response.status_code, response.raw_headers, bytes(response.body))


async def run(response: Response) -> SentResponse:
    """Run `response` to its end, and return everything that it sends."""
    status, headers, parts = response.status_code, response.raw_headers, list[bytes]()

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        else:
            parts.append(bytes(message.get("body", b"")))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    # With this version, a response notices that a caller has left only when it sends.
    scope = {"type": "http", "method": "POST", "headers": [], "asgi": {"spec_version": "2.4"}}
    await response(scope, receive, send)
    return SentResponse(status, headers, b"".join(parts))
