"""Outcomes that an application tracks: a record of their own in the pair files."""

import logging
import os
import threading
from atexit import register
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import time_ns
from typing import Any, Final, Protocol

from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from flags.export.pair_files import FileLimits
from flags.export.spans import PairSpans, TrackedOutcome
from flags.pairing.unit import drawn_value, unit_hash

logger = logging.getLogger(__name__)

REQUEST_ATTRIBUTE: Final = "requestId"
"""Of the context: the request, where the targeting key is somebody else's."""


class OutcomeRecorder(Protocol):
    """Record outcomes."""

    def record_outcome(self, outcome: TrackedOutcome) -> None:
        """Record one; never raises, never waits."""
        ...


@dataclass(frozen=True, slots=True)
class OutcomeTracking:
    """Take what `client.track` says, as the sink of a provider.

    The targeting key is the request id, as it is for the flag, unless the context has the attribute
    `requestId`. The unit is what the flag is sticky on, by the context's attributes.
    """

    recorder: OutcomeRecorder
    key: bytes | None = None
    """Of the hash of units; None: units are not recorded."""
    stickiness: Callable[[], str | None] = lambda: "default"
    """Return the context field that the flag draws."""

    def __call__(
        self,
        name: str,
        context: EvaluationContext | None,
        details: TrackingEventDetails | None,
    ) -> None:
        """Record the event as an outcome of the request and the unit that the context names."""
        attributes = {
            key: str(value) for key, value in (context.attributes if context else {}).items()
        }
        key = context.targeting_key if context else None
        unit = drawn_value(self.stickiness(), attributes)
        self.track(attributes.get(REQUEST_ATTRIBUTE) or key, name, _value(details), unit=unit)

    def track(
        self,
        request_id: str | None,
        metric: str,
        value: float = 1.0,
        *,
        unit: str | None = None,
        occurred_at: datetime | None = None,
    ) -> None:
        """Record an outcome; one that names neither a request nor a unit is logged."""
        hashed = unit_hash(self.key, unit) if unit and self.key else None
        if not request_id and hashed is None:
            logger.warning("an outcome names neither a request nor a unit that can be hashed")
            return
        moment = time_ns() if occurred_at is None else int(occurred_at.timestamp() * 1e9)
        self.recorder.record_outcome(
            TrackedOutcome(metric, float(value), request_id or None, hashed, moment)
        )


def _value(details: TrackingEventDetails | None) -> float:
    """Return the event's value; one without has happened once."""
    return 1.0 if details is None or details.value is None else float(details.value)


def outcome_files(folder: Path | str, service: str = "outcomes") -> OutcomeTracking:
    """Return what records to pair files of its own in `folder`, outside of the service.

    Units are hashed with the key in UNIT_KEY, which must be the service's. What is waiting is
    written when the process ends.
    """
    # Not compressed: a worker may have to ship them first.
    limits = FileLimits(compression=None)
    spans = PairSpans.to_folder(Path(folder), limits, service=service, version=None)
    register(spans.close)
    key = os.environ.get("UNIT_KEY", "").strip().encode() or None
    return OutcomeTracking(spans, key)


class _Here:
    """What `flags.track` uses in this process: the worker's record, else files of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tracking: OutcomeTracking | None = None

    def use(self, tracking: OutcomeTracking | None) -> None:
        with self._lock:
            self._tracking = tracking

    def tracking(self) -> OutcomeTracking:
        with self._lock:
            if self._tracking is None:
                self._tracking = outcome_files(os.environ.get("PAIRS_DIR") or "pairs")
            return self._tracking


_here = _Here()


def use_tracking(tracking: OutcomeTracking | None) -> None:
    """Let `track` record there; None: to files of its own."""
    _here.use(tracking)


def track(request_id: str | None, metric: str, value: float = 1.0, **more: Any) -> None:
    """Track an outcome: `flags.track(request_id, "complaint")`.

    In a worker it goes into the worker's record, elsewhere into pair files of its own in PAIRS_DIR.
    Also takes `unit` (a user, say, instead of a request or beside it) and `occurred_at` (a
    datetime; unset: now). A failure is logged: tracking changes nothing that the application does.
    """
    try:
        _here.tracking().track(request_id, metric, value, **more)
    except Exception:
        logger.warning("an outcome was not recorded", exc_info=True)
