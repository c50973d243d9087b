"""Tracking of outcomes by the application: each is written as a span to the pair files."""

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
"""Attribute of the evaluation context with the request id, if the targeting key is another id."""


class OutcomeRecorder(Protocol):
    """A sink of tracked outcomes."""

    def record_outcome(self, outcome: TrackedOutcome) -> None:
        """Record an outcome; never raises, never waits."""
        ...


@dataclass(frozen=True, slots=True)
class OutcomeTracking:
    """A converter of OpenFeature tracking events (`client.track`) to recorded outcomes.

    The request id is the context's attribute `requestId`, else the targeting key, as for the flag.
    The unit is the value of the flag's stickiness field in the context's attributes.
    """

    recorder: OutcomeRecorder
    key: bytes | None = None
    """Key of the hash of units; None: units are not recorded."""
    stickiness: Callable[[], str | None] = lambda: "default"
    """Returns the flag's stickiness: the context field that determines the side."""

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
        """Record an outcome. Without a request and a unit it is not recorded; that is logged."""
        hashed = unit_hash(self.key, unit) if unit and self.key else None
        if not request_id and hashed is None:
            logger.warning("an outcome names neither a request nor a unit that can be hashed")
            return
        moment = time_ns() if occurred_at is None else int(occurred_at.timestamp() * 1e9)
        self.recorder.record_outcome(
            TrackedOutcome(metric, float(value), request_id or None, hashed, moment)
        )


def _value(details: TrackingEventDetails | None) -> float:
    """Return the event's value; 1 if it has none: it happened once."""
    return 1.0 if details is None or details.value is None else float(details.value)


def outcome_files(folder: Path | str, service: str = "outcomes") -> OutcomeTracking:
    """Track outcomes outside of the service, in pair files of this process in `folder`.

    Units are hashed with the key in UNIT_KEY, which must be the service's. Queued outcomes are
    written when the process ends.
    """
    # Not compressed, since a worker may have to ship them first.
    limits = FileLimits(compression=None)
    spans = PairSpans.to_folder(Path(folder), limits, service=service, version=None)
    register(spans.close)
    key = os.environ.get("UNIT_KEY", "").strip().encode() or None
    return OutcomeTracking(spans, key)


class _ProcessTracking:
    """The tracking that `flags.track` uses in this process: the worker's, else files of its own."""

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


_process_tracking = _ProcessTracking()


def use_tracking(tracking: OutcomeTracking | None) -> None:
    """Set the tracking that `track` uses in this process; None: pair files of its own."""
    _process_tracking.use(tracking)


def track(request_id: str | None, metric: str, value: float = 1.0, **more: Any) -> None:
    """Track an outcome: `flags.track(request_id, "complaint")`.

    A worker writes it to the worker's pair files, another process to pair files of its own in
    PAIRS_DIR. Further arguments: `unit` (for example a user, instead of a request or as well) and
    `occurred_at` (a datetime, by default now). Failures are logged and never reach the application.
    """
    try:
        _process_tracking.tracking().track(request_id, metric, value, **more)
    except Exception:
        logger.warning("an outcome was not recorded", exc_info=True)
