"""The observation of each side on a request, and the pair of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from opentelemetry.context import Context

from flags.pairing.assignment import Assignment, Side
from flags.pairing.kinds.kind import Value


class Status(StrEnum):
    """The result of one side's call."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    SHED = "shed"
    """Not scored: too many shadows were being scored already, or every thread of the side hangs."""
    SKIPPED = "skipped"
    """Not scored: the shadow flag is off for this request, or the budget leaves its unit out."""


@dataclass(frozen=True, slots=True)
class Content:
    """Length and digest of a stream, or of an answer of bytes, as sent; the bytes are not kept."""

    length: int
    """Bytes."""
    digest: str | None
    """SHA-256 in hexadecimal; None for a stream that did not reach its end."""
    items: int | None = None
    """Items of a stream."""
    first_item: float | None = None
    """Seconds from the start of a stream to its first item."""


@dataclass(frozen=True, slots=True)
class Batched:
    """The batch call in which a shadow was scored."""

    size: int
    """Shadows in the call; 1 if the shadow was alone, and was scored singly."""
    agrees: bool | None = None
    """For a shadow that was scored singly as well: whether both results are equal."""
    error: str | None = None
    """Exception type if the call failed; its shadows were then scored singly."""


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
    """Seconds that the model took, without waiting in the queue; None if the call never began, or
    was scored in a batch.

    For a stream, the sum over its items, without the time in which the caller reads them.
    """
    model: str | None = None
    """Tag of the model, e.g. `fraud-v2:k3jx5`."""
    error: str | None = None
    """Exception type; never its message, which may quote the input."""
    content: Content | None = None
    """For a stream, or an answer of bytes."""
    batched: Batched | None = None
    """For a shadow of an API whose shadows are scored in batches."""
    sampled: float | None = None
    """For a shadow under a budget: share of the units whose shadows were scored at that time."""
    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """Recorded values of outputs that are not numbers, by output and column."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both observations of one accepted request. Each accepted request has exactly one pair."""

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
    """Keyed hash of who or what the request belongs to; None if the request is its own unit."""
    prompt: str | None = None
    """The prompt as messages in JSON; only if texts are recorded."""
    drawn: str | None = None
    """Keyed hash of the value by which the flag chose the side, if that is neither the unit nor
    the request id."""
    parent: Context | None = None
    """OpenTelemetry context of the request, the parent of the pair's span."""

    def observation(self, side: Side) -> Observation:
        """Return the observation of `side`."""
        return self.primary if side is Side.PRIMARY else self.candidate


class PairSink(Protocol):
    """Receive pairs as they are completed, on the event loop: `record` must not block."""

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
