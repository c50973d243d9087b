"""Counts of the last minutes' pairs in slots of ten seconds, for the live page.

Each worker writes its counts to a file beside the file of its state. They are separate, because
every other worker reads the state once a second: that file must stay small.
"""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
from pydantic import TypeAdapter

from flags.export.worker_count import FOLDER
from flags.files import replace_file
from flags.monitoring.worker_state import RECENT_SUFFIX
from flags.pairing.assignment import Side
from flags.pairing.kinds.registry import equalities
from flags.pairing.observation import Observation, Pair, Status

logger = logging.getLogger(__name__)

SLOT: Final = 10
"""Seconds."""

SLOTS: Final = 60
"""Number of slots that are kept: ten minutes, including the current slot."""

_INTERVAL: Final = 2.0
"""Least seconds between two writes of the file."""

BINS_PER_OCTAVE: Final = 4
"""Logarithmic bins of durations; a quantile is exact to 10 % of its value."""

_FAILED: Final = (Status.ERROR, Status.TIMEOUT)


@dataclass(slots=True)
class SideCounts:
    """Counts of one side in one slot."""

    answers: int = 0
    """Answers of this side that callers got."""
    failed: int = 0
    """Errors and timeouts."""
    shed: int = 0
    durations: dict[int, int] = field(default_factory=dict)
    """Number of successful calls by bin of their duration; see `_bin_of`."""


@dataclass(slots=True)
class AlarmCounts:
    """Alarms of both sides for one output, on the pairs in which both sides have a decision."""

    pairs: int = 0
    primary: int = 0
    candidate: int = 0


@dataclass(slots=True)
class AnswerCounts:
    """Answers for an output without alarms, on the pairs that both sides answered."""

    kind: str
    """`number`, `class`, `ranking` or `text`."""
    pairs: int = 0
    same: int = 0
    """Pairs in which both sides gave the same answer; texts ignoring case and spaces."""
    primary: float = 0.0
    candidate: float = 0.0
    """Sums of the sides' numbers."""

    def add(self, other: "AnswerCounts") -> None:
        """Add the counts of `other`."""
        self.pairs += other.pairs
        self.same += other.same
        self.primary += other.primary
        self.candidate += other.candidate


@dataclass(slots=True)
class Slot:
    """The counts of one worker in ten seconds."""

    begins: int
    """Unix time in seconds, a multiple of SLOT."""
    pairs: int = 0
    fallbacks: int = 0
    primary: SideCounts = field(default_factory=SideCounts)
    candidate: SideCounts = field(default_factory=SideCounts)
    alarms: dict[str, AlarmCounts] = field(default_factory=dict)
    """By output."""
    answers: dict[str, AnswerCounts] = field(default_factory=dict)
    """By output, of outputs without alarms."""


@dataclass(slots=True)
class Recent:
    """The last slots of one worker, the oldest first; slots without pairs are left out."""

    slots: list[Slot] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    """Tag of the last seen model, by side."""


class RecentPairs:
    """A counter of this worker's pairs, which writes the counts to `path`."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._recent = Recent()
        self._written = float("-inf")
        self._since: datetime | None = None
        self._failing = False

    def count(self, pair: Pair) -> None:
        """Count one pair, on the event loop."""
        slot = self._slot()
        slot.pairs += 1
        slot.fallbacks += pair.fallback
        for side, seen in ((Side.PRIMARY, pair.primary), (Side.CANDIDATE, pair.candidate)):
            counts = slot.primary if side is Side.PRIMARY else slot.candidate
            counts.answers += pair.served is side
            if seen.status is Status.OK and seen.duration is not None:
                number = _bin_of(seen.duration)
                counts.durations[number] = counts.durations.get(number, 0) + 1
            if seen.status in _FAILED:
                counts.failed += 1
            elif seen.status is Status.SHED:
                counts.shed += 1
            if seen.model is not None:
                self._recent.models[side.value] = seen.model
        _count_alarms(slot.alarms, pair.primary, pair.candidate)
        for output, counted in _answers(pair.primary, pair.candidate):
            slot.answers.setdefault(output, AnswerCounts(counted.kind)).add(counted)

    def flag_seen(self, since: datetime | None) -> None:
        """Clear alarms and answers if the flag has another rollout or other thresholds."""
        if since != self._since:
            self._since = since
            for slot in self._recent.slots:
                slot.alarms.clear()
                slot.answers.clear()

    def publish(self) -> None:
        """Write the counts atomically, at most every two seconds; never raises."""
        now = time.monotonic()
        if now - self._written < _INTERVAL:
            return
        self._written = now
        try:
            replace_file(self._path, orjson.dumps(self._recent, option=orjson.OPT_NON_STR_KEYS))
            self._failing = False
        except OSError as error:
            if not self._failing:
                logger.warning("the live page lacks this worker: %s (%s)", self._path, error)
            self._failing = True

    def withdraw(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _slot(self) -> Slot:
        begins = int(self._clock()) // SLOT * SLOT
        slots = self._recent.slots
        if slots and slots[-1].begins == begins:
            return slots[-1]
        oldest = begins - (SLOTS - 1) * SLOT
        # A slot later than now was counted before the clock was set back.
        kept = [slot for slot in slots if oldest <= slot.begins < begins]
        self._recent.slots = [*kept, Slot(begins)]
        return self._recent.slots[-1]


def recent_path(pairs_dir: Path, worker: str) -> Path:
    """Return the file of a worker's counts, beside that of its state."""
    return pairs_dir / FOLDER / f"{worker}{RECENT_SUFFIX}"


def _bin_of(seconds: float) -> int:
    return math.floor(BINS_PER_OCTAVE * math.log2(max(seconds, 1e-6)))


def _count_alarms(
    alarms: dict[str, AlarmCounts], primary: Observation, candidate: Observation
) -> None:
    for output, decision in primary.decisions.items():
        other = candidate.decisions.get(output)
        if other is None:
            continue
        counts = alarms.get(output)
        if counts is None:
            counts = alarms[output] = AlarmCounts()
        counts.pairs += 1
        counts.primary += bool(decision)
        counts.candidate += bool(other)


_KINDS: Final = {each.normal: each.of for each in equalities()}
"""Kind of answer by the recorded column in which equal answers of both sides are equal."""


def _answers(primary: Observation, candidate: Observation) -> Iterator[tuple[str, AnswerCounts]]:
    """Yield the counts of one pair for each output without a decision that both sides answered."""
    for output, number in primary.scores.items():
        other = candidate.scores.get(output)
        if other is None or output in primary.decisions or output in candidate.decisions:
            continue
        if math.isfinite(number) and math.isfinite(other):
            yield output, AnswerCounts("number", 1, int(number == other), number, other)
    for output, columns in primary.values.items():
        others = candidate.values.get(output, {})
        for column, kind in _KINDS.items():
            if column in columns and column in others:
                yield output, AnswerCounts(kind, 1, int(columns[column] == others[column]))


_RECENT: Final = TypeAdapter(Recent)


def read_recent(path: Path) -> Recent | None:
    """Return the counts in a worker's file; None if there is none, or of another version."""
    try:
        return _RECENT.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
