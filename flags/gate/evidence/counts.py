"""Counts and intervals that all evidence is made of."""

from dataclasses import Field, dataclass
from typing import Any, Final

UNWRITTEN: Final = {"written": False}
"""Metadata of a field that no document has: counts from which the written figures follow."""


def is_written(field: "Field[Any]") -> bool:
    """Say whether documents have a field of a dataclass."""
    return bool(field.metadata.get("written", True))


@dataclass(frozen=True, slots=True)
class Count:
    """Hold `count` of `total`."""

    count: int
    total: int

    @property
    def rate(self) -> float | None:
        """Return the share, None of nothing."""
        return self.count / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Paired:
    """Hold the paired 2x2 table of a yes or no that each side said of the same pairs."""

    both: int
    primary_only: int
    candidate_only: int
    neither: int

    @property
    def pairs(self) -> int:
        """Count the pairs in the table."""
        return self.both + self.primary_only + self.candidate_only + self.neither

    @property
    def primary(self) -> Count:
        """Count the primary's yes."""
        return Count(self.both + self.primary_only, self.pairs)

    @property
    def candidate(self) -> Count:
        """Count the candidate's yes."""
        return Count(self.both + self.candidate_only, self.pairs)


@dataclass(frozen=True, slots=True)
class UnitShare:
    """Count the units of whose requests a share failed; a difference lies within -1 to 1."""

    value: float
    units: int


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold an estimate with its 95 % interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None
