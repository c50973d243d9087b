"""Tell when an answer has left, so that its shadow takes nothing from it."""

import asyncio
from typing import Final

PATIENCE: Final = 0.25
"""Seconds for which a shadow waits for an answer to leave; a large one to a slow caller may take
longer."""


class Departure:
    """The moment in which the answer to a request has left, or its caller has gone away."""

    def __init__(self) -> None:
        self._left = asyncio.Event()

    def happened(self) -> None:
        """Say that nothing more is sent to the caller."""
        self._left.set()

    async def awaited(self) -> None:
        """Return once it has happened, or after `PATIENCE`."""
        timer = asyncio.get_running_loop().call_later(PATIENCE, self._left.set)
        try:
            await self._left.wait()
        finally:
            timer.cancel()
