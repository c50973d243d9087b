"""Preferences of judges between the texts of both sides."""

from dataclasses import dataclass

from flags.gate.evidence.counts import Count, UnitShare


@dataclass(frozen=True, slots=True)
class UnitPreference:
    """The number of units whose judged pairs have the same mean preference.

    0: the primary's text was always preferred; 1: the candidate's was; a tie is 0.5. The two ends
    differ if the judge failed, since it may have preferred either.
    """

    lowest: float
    """Mean preference, if failed judgments preferred the primary."""
    highest: float
    """Mean preference, if failed judgments preferred the candidate."""
    units: int
    """Units with this mean."""


@dataclass(frozen=True, slots=True)
class PreferenceEvidence:
    """The preferences of judges on pairs whose texts differ, chosen at random."""

    output: str | None
    """None if the table of preferences names no output."""
    units: tuple[UnitPreference, ...]
    """Units by mean preference."""
    pairs: int
    """Judged pairs, each in both orders if the table has orders."""
    failed: int
    """Of these, the pairs on which the judge failed in one or both orders."""
    position: tuple[UnitShare, ...]
    """Mean preference for the text shown first, over both orders of a pair: 0.5 without bias."""
    consistent: Count
    """Of the pairs judged in both orders, those in which the same answer won twice, or neither."""
    same_model: tuple[UnitShare, ...]
    """The candidate's share in pairs of the same model twice: the noise of the judge."""
    judges: tuple[str, ...] = ()
    """Names of the judges."""
