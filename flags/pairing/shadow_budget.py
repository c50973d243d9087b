"""The budget of shadows: a share of a processor, kept by sampling units."""

import time
from collections.abc import Callable
from typing import Final

from flags.pairing.draw import place

_WINDOW: Final = 5.0
"""Seconds after which the share of the units is chosen anew."""

_LEAST: Final = 0.01
"""Share of the units that are scored in any case: without a score nobody knows what one costs."""

_WEIGHT: Final = 0.5
"""Weight of the last window in what a score is known to cost."""


class ShadowBudget:
    """Sample the shadows of a worker, so that scoring them takes a share of one processor.

    Units are sampled by a hash: those of a smaller share are in every larger one, so that a unit
    stays in or out while the share stays, and what it sends says nothing about it. The first window
    scores all.
    """

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Let scoring take at most `most` seconds of a second."""
        self._most = most
        self._clock = clock
        self.share = 1.0
        """Share of the units whose shadows are scored."""
        self._cost: float | None = None
        self._began = clock()
        self._seen = self._admitted = 0
        self._spent = 0.0

    def admits(self, unit: str) -> bool:
        """Say whether a shadow of `unit` is to be scored."""
        if self._clock() - self._began >= _WINDOW:
            self._choose()
        self._seen += 1
        is_admitted = self.share >= 1 or place("budget", unit) < self.share
        self._admitted += is_admitted
        return is_admitted

    def spend(self, seconds: float) -> None:
        """Note what a call took: of the processor, where that is known."""
        self._spent += seconds

    def _choose(self) -> None:
        now = self._clock()
        elapsed, seen = now - self._began, self._seen
        if self._admitted:
            cost = self._spent / self._admitted
            known = cost if self._cost is None else self._cost
            self._cost = _WEIGHT * cost + (1 - _WEIGHT) * known
        if self._cost and seen:
            wanted = self._cost * seen / elapsed
            self.share = max(_LEAST, min(1.0, self._most / wanted))
        self._began, self._seen, self._admitted, self._spent = now, 0, 0, 0.0
