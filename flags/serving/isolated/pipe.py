"""Numbered, pickled messages over a socket between the worker and the candidate's process.

A received body is not unpickled here: if unpickling fails, the reader still knows the message's
number, and so which call failed. Both ends run this package's code and trust each other.
"""

import asyncio
import pickle
import socket
import threading
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, cast

from flags.serving.sides.value_pickle import pickled

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
        """Send `message`; raises if it cannot be pickled, and then sends nothing."""
        packed = _packed(number, message)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packed)

    def close(self) -> None:
        """Close this end after the queued messages were sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        """Report that either end was closed."""
        self._closed()

    def data_received(self, data: bytes) -> None:
        """Report each complete message."""
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
    """The candidate's end, for threads: one thread receives at a time, any may send."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._incoming = end.makefile("rb")
        self._receiving = threading.Lock()
        self._sending = threading.Lock()

    def send(self, number: int, message: Any) -> None:
        """Send `message`; raises if it cannot be pickled, and then sends nothing."""
        packed = _packed(number, message)
        with self._sending:
            self._end.sendall(packed)

    def receive(self) -> tuple[int, bytes] | None:
        """Wait for the next message and return it; None if the other end was closed."""
        with self._receiving:
            head = self._incoming.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            length, number = _HEAD.unpack(head)
            body = self._incoming.read(length)
            return (number, body) if len(body) == length else None


def _packed(number: int, message: Any) -> bytes:
    try:
        body = pickle.dumps(message, _PROTOCOL)
    except Exception:  # a class without a name, which the slower pickle knows to send
        body = pickled(message)
    return _HEAD.pack(len(body), number) + body
