"""The evidence on outputs other than scores: numbers, classes, rankings and texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flags.gate.evidence.counts import UNWRITTEN, Count, UnitShare


class PartRole(StrEnum):
    """By which property the pairs of a part were chosen."""

    WHOLE = "whole"
    """All pairs of the output."""
    SEGMENT = "segment"
    """Pairs with one value of a segment."""
    RECENT = "recent"
    """Pairs of the last day, three days or week."""
    LABELLED = "labelled"
    UNLABELLED = "unlabelled"
    """Pairs that are old enough for a label, and have none."""


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """The figures of a part of an output's pairs, such as a value of a segment or the last day."""

    role: PartRole
    segment: str
    """Name of the segment, or of the time."""
    value: str | None
    """Value of the segment; None: pairs without a value, or no segment."""
    pairs: int
    """Pairs of the part."""
    sums: Mapping[str, float]
    """By name, sums over these pairs; the names depend on the kind of the output."""
    levels: Mapping[str, tuple[UnitShare, ...]] = field(default_factory=dict, metadata=UNWRITTEN)
    """By figure, the values of units, divided by the bound of the figure."""

    @property
    def name(self) -> str:
        """Return the part in words, e.g. `region=EU`."""
        if self.role is not PartRole.SEGMENT:
            return self.segment
        return f"{self.segment}={'(none)' if self.value is None else self.value}"


@dataclass(frozen=True, slots=True)
class AnswerEvidence:
    """The evidence on one output; each `flags.gate.checks.<kind>` has a subclass for its kind."""

    kind: str
    """`number`, `category`, `ranking` or `text`."""
    name: str
    """Name of the output."""
    paired: int
    """Pairs that have the output on both sides."""
    labelled: int
    """Of these, the pairs whose label has come and counts."""
    units: int
    """Units that the pairs name; 0: each request is a unit."""
    parts: tuple[AnswerPart, ...] = field(default=(), kw_only=True)
    """All pairs, the last days, values of segments, and pairs with and without a label."""
    early_labels: Count = field(default=Count(0, 0), kw_only=True)
    """Of the pairs that are too young for their label to count, the labelled ones."""
    clusters: Mapping[str, float] = field(default_factory=dict, kw_only=True, metadata=UNWRITTEN)
    """By figure of `levels`, the design effect of values within a minute; empty with units."""
