"""The budget for shadows: a share of a processor, kept by sampling units."""

import time
from collections.abc import Callable
from typing import Final

from flags.pairing.draw import hash_fraction

_WINDOW: Final = 5.0
"""Seconds after which the share of sampled units is computed again."""

_MIN_SHARE: Final = 0.01
"""Smallest share of units that are scored: without scores the cost of one is unknown."""

_WEIGHT: Final = 0.5
"""Weight of the last window in the moving average of a score's cost."""


class ShadowBudget:
    """Sample the shadows of a worker so that scoring them takes a limited share of one processor.

    Units are sampled by a hash. Units of a smaller share belong to every larger one, so a unit
    stays in or out while the share stays, whatever its requests contain. In the first window, all
    shadows are scored.
    """

    def __init__(self, max_load: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Limit scoring to `max_load` processor seconds per second."""
        self._max_load = max_load
        self._clock = clock
        self.share = 1.0
        """Share of the units whose shadows are scored."""
        self._cost: float | None = None
        self._began = clock()
        self._requested = self._admitted = 0
        self._spent = 0.0

    def admits(self, unit: str) -> bool:
        """Say whether the shadow of a request of `unit` is scored."""
        if self._clock() - self._began >= _WINDOW:
            self._update_share()
        self._requested += 1
        is_admitted = self.share >= 1 or hash_fraction("budget", unit) < self.share
        self._admitted += is_admitted
        return is_admitted

    def spend(self, seconds: float) -> None:
        """Record the cost of a call: processor seconds if they are known, else its duration."""
        self._spent += seconds

    def _update_share(self) -> None:
        now = self._clock()
        elapsed, requested = now - self._began, self._requested
        if self._admitted:
            cost = self._spent / self._admitted
            average = cost if self._cost is None else self._cost
            self._cost = _WEIGHT * cost + (1 - _WEIGHT) * average
        if self._cost and requested:
            full_load = self._cost * requested / elapsed
            self.share = max(_MIN_SHARE, min(1.0, self._max_load / full_load))
        self._began, self._requested, self._admitted, self._spent = now, 0, 0, 0.0
