"""The observation of each side on a request, and the pair of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from opentelemetry.context import Context

from flags.pairing.assignment import Assignment, Side
from flags.pairing.kinds.kind import Value


class Status(StrEnum):
    """How one side fared on one request."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    SHED = "shed"
    """Not scored: too many shadows were being scored already, or every thread of the side hangs."""
    SKIPPED = "skipped"
    """Not scored: the shadow flag is off for this request, or the budget leaves its unit out."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a stream, or an answer of bytes, held as it was sent; nothing of it is kept."""

    length: int
    """Bytes."""
    digest: str | None
    """SHA-256 in hexadecimal; None of a stream that did not reach its end."""
    items: int | None = None
    """Of a stream."""
    first_item: float | None = None
    """Seconds that a stream took to its first item."""


@dataclass(frozen=True, slots=True)
class Batched:
    """How a shadow was scored that could be scored together with others, in one call."""

    size: int
    """Shadows in the call; 1 of one that was alone."""
    agrees: bool | None = None
    """Of one that was scored singly as well: whether both ways came to the same."""
    error: str | None = None
    """Exception type of the call, which failed: each was scored singly after it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One side on one request."""

    status: Status
    scores: Mapping[str, float] = field(default_factory=dict)
    """Compared numbers of the answer, by output name."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    decisions: Mapping[str, bool] = field(default_factory=dict)
    """Whether it is an alarm, for the outputs that have a threshold."""
    duration: float | None = None
    """Seconds that the model took, its place in the queue not counted; None if never begun, or if
    it was scored in a batch.

    Of a stream, all its items together: the time in which its reader takes an item is left out.
    """
    model: str | None = None
    """Tag of the model, e.g. `fraud-v2:k3jx5`."""
    error: str | None = None
    """Exception type; never its message, which may quote the input."""
    content: Content | None = None
    """Of a stream, or of an answer of bytes."""
    batched: Batched | None = None
    """Of a shadow whose API is scored in batches."""
    sampled: float | None = None
    """Of a shadow under a budget: share of the units whose shadows were scored at that time."""
    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """What is recorded of outputs that are not numbers, by output and name."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both observations of one accepted request; exactly one is recorded for each."""

    request_id: str
    api: str
    started: int
    """Unix time in nanoseconds at which the request was accepted."""
    ended: int
    """Unix time in nanoseconds at which the second side was done."""
    assignment: Assignment
    primary: Observation
    candidate: Observation
    served: Side | None
    """The side whose answer the caller got; None if it got none."""
    fallback: bool = False
    """True where the active candidate failed and the primary's answer was served."""
    segments: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)
    unit: str | None = None
    """Keyed hash of who or what the request belongs to; None where it stands for itself."""
    prompt: str | None = None
    """What was asked, as messages in JSON; only beside recorded texts."""
    drawn: str | None = None
    """The same of what the flag draws, where that is neither the unit nor the request."""
    parent: Context | None = None
    """OpenTelemetry context of the request, the parent of the pair's span."""

    def observation(self, side: Side) -> Observation:
        """Return the observation of `side`."""
        return self.primary if side is Side.PRIMARY else self.candidate


class PairSink(Protocol):
    """Take pairs as they are completed, on the event loop: `record` must not block."""

    def record(self, pair: Pair) -> None:
        """Record `pair`."""
        ...


class InMemoryPairs:
    """Keep pairs in a list, for tests, notebooks and the quick start."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []

    def record(self, pair: Pair) -> None:
        """Append `pair`."""
        self.pairs.append(pair)
