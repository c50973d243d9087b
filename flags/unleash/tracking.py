"""Sinks of the events that an application tracks through OpenFeature."""

import logging
import threading
from collections import Counter
from typing import Final, Protocol

from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from flags.printable import printable

logger = logging.getLogger(__name__)

_MAX_NAMES: Final = 1000
"""Event names that are counted separately: names that contain ids must not fill the memory."""
_NAME_LENGTH: Final = 100
"""Characters of a name."""


class TrackingSink(Protocol):
    """A consumer of `client.track` events; errors that it raises are logged."""

    def __call__(
        self,
        name: str,
        context: EvaluationContext | None,
        details: TrackingEventDetails | None,
    ) -> None:
        """Consume one event."""
        ...


class CountedEvents:
    """Counts of tracked events by name; each event is also logged at DEBUG level."""

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
        shown = printable(name, _NAME_LENGTH)
        with self._lock:
            if shown in self.counts or len(self.counts) < _MAX_NAMES:
                self.counts[shown] += 1
            else:
                self.counts["other"] += 1
        value = details.value if details else None
        logger.debug("tracked %s of %r, value %s", shown, context and context.targeting_key, value)
