"""Numbered, pickled messages over a socket between the worker and the candidate's process.

A body is handed over as it came, for its reader to unpickle: whoever cannot do that still knows the
message's number, and can say which call failed. Both ends are our own and trust each other.
"""

import asyncio
import pickle
import socket
import threading
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, cast

_HEAD: Final = Struct("<QQ")
"""Length of the body in bytes, number of the message."""

_PROTOCOL: Final = 5


class Pipe(asyncio.Protocol):
    """The worker's end, on its event loop."""

    def __init__(
        self, received: Callable[[int, bytes], None], closed: Callable[[], None] = lambda: None
    ) -> None:
        self._received = received
        self._closed = closed
        self._buffer = bytearray()
        self._needed = _HEAD.size
        self._transport: asyncio.Transport | None = None

    def send(self, number: int, message: Any) -> None:
        """Send `message`. If pickling it raises, nothing is sent."""
        packed = _packed(number, message)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packed)

    def close(self) -> None:
        """Close this end, what is queued sent first."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        """Tell that the other end is gone, or this one is closed."""
        self._closed()

    def data_received(self, data: bytes) -> None:
        """Hand over each message that is complete."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= self._needed:
            length, number = _HEAD.unpack_from(buffer)
            end = _HEAD.size + length
            if len(buffer) < end:
                self._needed = end
                return
            body = bytes(memoryview(buffer)[_HEAD.size : end])
            del buffer[:end]
            self._needed = _HEAD.size
            self._received(number, body)


class BlockingPipe:
    """The end of the candidate's process, for its threads: one receives at a time, any may send."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._incoming = end.makefile("rb")
        self._receiving = threading.Lock()
        self._sending = threading.Lock()

    def send(self, number: int, message: Any) -> None:
        """Send `message`. If pickling it raises, nothing is sent."""
        packed = _packed(number, message)
        with self._sending:
            self._end.sendall(packed)

    def receive(self) -> tuple[int, bytes] | None:
        """Wait for the next message; None once the other end is closed."""
        with self._receiving:
            head = self._incoming.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            length, number = _HEAD.unpack(head)
            body = self._incoming.read(length)
            return (number, body) if len(body) == length else None


def _packed(number: int, message: Any) -> bytes:
    body = pickle.dumps(message, _PROTOCOL)
    return _HEAD.pack(len(body), number) + body
