"""Which side's texts judges prefer."""

from dataclasses import dataclass

from flags.gate.evidence.counts import Count, UnitShare


@dataclass(frozen=True, slots=True)
class UnitPreference:
    """Count units whose judged pairs gave the candidate the same share, on average.

    From 0, the primary's text was always preferred, to 1, the candidate's was; a tie is 0.5.
    `least` and `most` differ where the judge failed: it may have meant either.
    """

    least: float
    most: float
    units: int


@dataclass(frozen=True, slots=True)
class PreferenceEvidence:
    """Say which side's texts judges prefer, of pairs that differ, chosen at random."""

    output: str | None
    """None where the table names none."""
    units: tuple[UnitPreference, ...]
    prompts: int
    """Pairs that were judged, each in both orders if the table has orders."""
    unjudged: int
    """Of these, those on which the judge failed in an order or both."""
    position: tuple[UnitShare, ...]
    """Over both orders of a pair, the share of what was shown first: 0.5 without bias."""
    consistent: Count
    """Of the pairs in both orders, those in which the same answer won twice, or neither."""
    same_model: tuple[UnitShare, ...]
    """The candidate's share in pairs of the same model twice: the noise of the judge."""
    judges: tuple[str, ...] = ()
