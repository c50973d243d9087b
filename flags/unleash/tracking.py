"""Sinks of the events that an application tracks through OpenFeature."""

import logging
import threading
from collections import Counter
from typing import Final, Protocol

from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from flags.printable import printable

logger = logging.getLogger(__name__)

_NAMES: Final = 1000
"""Of events that are counted apart: a name that holds an id must not fill the memory."""
_NAMED: Final = 100
"""Characters of a name."""


class TrackingSink(Protocol):
    """Take one event of `client.track`; what is raised is logged."""

    def __call__(
        self,
        name: str,
        context: EvaluationContext | None,
        details: TrackingEventDetails | None,
    ) -> None:
        """Take the event."""
        ...


class CountedEvents:
    """Count tracked events by name, and log each at the level DEBUG."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(
        self,
        name: str,
        context: EvaluationContext | None,
        details: TrackingEventDetails | None,
    ) -> None:
        """Count the event."""
        shown = printable(name, _NAMED)
        with self._lock:
            if shown in self.counts or len(self.counts) < _NAMES:
                self.counts[shown] += 1
            else:
                self.counts["other"] += 1
        value = details.value if details else None
        logger.debug("tracked %s of %r, value %s", shown, context and context.targeting_key, value)
