"""A graceful stop of a long-running command on a signal."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SLICE: Final = 0.2
"""Seconds between checks while waiting. A lock in a signal handler could hang."""


class Stop:
    """Whether a command was asked to end."""

    def __init__(self) -> None:
        self.asked = False

    def wait(self, seconds: float) -> None:
        """Return after this number of seconds, or soon after a stop is asked for."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))


@contextmanager
def stop_asked() -> Iterator[Stop]:
    """Yield a Stop that SIGTERM, Ctrl-C or a closed terminal sets; a second Ctrl-C raises."""
    stop = Stop()

    def ask(signum: int, _frame: FrameType | None) -> None:
        if stop.asked and signum == signal.SIGINT:
            raise KeyboardInterrupt
        stop.asked = True

    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    earlier = {name: signal.signal(name, ask) for name in names}
    try:
        yield stop
    finally:
        for name, action in earlier.items():
            signal.signal(name, action)
