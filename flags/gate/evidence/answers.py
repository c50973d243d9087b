"""The evidence on outputs of a kind: numbers, classes, rankings and texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flags.gate.evidence.counts import UNWRITTEN, Count, UnitShare


class PartRole(StrEnum):
    """What the pairs of a part have in common."""

    WHOLE = "whole"
    """All pairs of the output."""
    SEGMENT = "segment"
    RECENT = "recent"
    """They are of the last day, three days or week."""
    LABELLED = "labelled"
    UNLABELLED = "unlabelled"
    """They are old enough for a label, and have none."""


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """Hold what a part of an output's pairs says: a value of a segment, or the last days."""

    role: PartRole
    segment: str
    """Name of the segment, or of the time."""
    value: str | None
    pairs: int
    sums: Mapping[str, float]
    """By name, sums over these pairs, as the kind of the output names them."""
    levels: Mapping[str, tuple[UnitShare, ...]] = field(default_factory=dict, metadata=UNWRITTEN)
    """By figure, values of units in parts of their bound."""

    @property
    def name(self) -> str:
        """Return the part in words, e.g. `region=EU`."""
        if self.role is not PartRole.SEGMENT:
            return self.segment
        return f"{self.segment}={'(none)' if self.value is None else self.value}"


@dataclass(frozen=True, slots=True)
class AnswerEvidence:
    """Hold the evidence on one output of a kind; `flags.gate.checks.<kind>` has its class."""

    kind: str
    name: str
    paired: int
    """Pairs that have it on both sides."""
    labelled: int
    """Of these, those whose label has come and counts."""
    units: int
    """Units that the pairs name; 0: they are judged by request."""
    parts: tuple[AnswerPart, ...] = field(default=(), kw_only=True)
    """The whole, the last days, values of segments, and those with and without a label."""
    young: Count = field(default=Count(0, 0), kw_only=True)
    """Labelled of the pairs that are too young for their label to count."""
    clusters: Mapping[str, float] = field(default_factory=dict, kw_only=True, metadata=UNWRITTEN)
    """By figure of the levels, the design effect of values within minutes: none with units."""
