"""The counts and intervals of which all evidence is made."""

from dataclasses import Field, dataclass
from typing import Any, Final

UNWRITTEN: Final = {"written": False}
"""Metadata of a dataclass field that is left out of the verdict's JSON: raw counts of figures."""


def is_written(field: "Field[Any]") -> bool:
    """Say whether a dataclass field is in the verdict's JSON."""
    return bool(field.metadata.get("written", True))


@dataclass(frozen=True, slots=True)
class Count:
    """A number of cases, `count` of `total`."""

    count: int
    """Cases of which it is true."""
    total: int
    """All cases."""

    @property
    def rate(self) -> float | None:
        """Return the share, None if `total` is 0."""
        return self.count / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Paired:
    """The paired 2x2 table of a decision (yes or no) that both sides made on the same pairs."""

    both: int
    """Pairs to which both sides say yes."""
    primary_only: int
    """Pairs to which the primary alone says yes."""
    candidate_only: int
    """Pairs to which the candidate alone says yes."""
    neither: int
    """Pairs to which both sides say no."""

    @property
    def pairs(self) -> int:
        """Count the pairs in the table."""
        return self.both + self.primary_only + self.candidate_only + self.neither

    @property
    def primary(self) -> Count:
        """Count the pairs to which the primary says yes."""
        return Count(self.both + self.primary_only, self.pairs)

    @property
    def candidate(self) -> Count:
        """Count the pairs to which the candidate says yes."""
        return Count(self.both + self.candidate_only, self.pairs)


@dataclass(frozen=True, slots=True)
class UnitShare:
    """The number of units with the same value of a figure, such as the share of failed requests."""

    value: float
    """The value: a share from 0 to 1, or a difference of shares from -1 to 1."""
    units: int
    """Units with this value."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval; None: not known."""

    value: float | None
    """The estimate."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""
