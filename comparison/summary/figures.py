"""The figures of a flag's pairs: who answered, how each side fared, how answers differ.

Figures that set one side against the other come from pairs in which both sides are `ok`: the same
requests on both sides, so the traffic cannot explain a difference. What is left out is counted.
Everything here is a plain value; nothing decides (`comparison.summary.conclusion` does).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from comparison.evidence.alarms import Alarms, SegmentTable
from comparison.evidence.statistics import Proportion
from comparison.pairs.accounting import Accounting
from comparison.pairs.sides import SIDES
from flags.gate.number_format import plural
from flags.pairing.kinds.registry import samenesses

SCORE_QUANTILES: Final = (0.5, 0.9, 0.95, 0.99, 0.995, 1.0)
LATENCY_QUANTILES: Final = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Share:
    """Hold the candidate's share of the pairs made at one rollout percentage (None: unknown)."""

    rollout: float | None
    active: Proportion
    served: Proportion


@dataclass(frozen=True, slots=True)
class Traffic:
    """Say who answered. `served` and `unanswered` add up with the primary's to all pairs."""

    active: Proportion
    served: Proportion
    unanswered: Proportion
    fallback: Proportion
    by_rollout: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class SideFigures:
    """Say how one side fared: counts by status, seconds to an `ok` answer, models, errors.

    `failed` is error or timeout out of the calls that were made, so neither shed nor skipped.
    """

    side: str
    statuses: dict[str, Proportion]
    failed: Proportion
    latency: dict[float, float | None]
    models: dict[str, int]
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class OutputFigures:
    """Compare one output. Of the `paired`, `unscored` lack a finite score on a side.

    `scores` and `differences` (candidate less primary, absolute) are quantiles by probability;
    `mean_interval` is that of `mean_difference`, which has its sign; None with few pairs.
    `alarms` is None if no pair has a decision on both sides; `undecided` are scored ones without.
    `thresholds` are those that occur, per side.
    """

    output: str
    paired: int
    unscored: int
    undecided: int
    scores: dict[str, dict[float, float | None]]
    differences: dict[float, float | None]
    mean_difference: float | None
    mean_interval: tuple[float, float] | None
    thresholds: dict[str, tuple[float, ...]]
    alarms: Alarms | None
    segments: tuple[SegmentTable, ...]


SAME: Final = {each.exact: each.of for each in samenesses()}
"""What says that both sides answer the same, and what it is of."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Count the pairs in which both sides give the same answer of a kind."""

    kind: str
    share: Proportion


@dataclass(frozen=True, slots=True)
class Summary:
    """Hold every figure of a comparison. `left_out` counts unpaired pairs by what happened.

    `agreement` counts the pairs in which both sides decide alike in every output, such as the
    classes of a model; None unless several outputs are decided.
    """

    source: str
    flag: str
    pairs: int
    first: datetime
    last: datetime
    accounting: Accounting
    traffic: Traffic
    primary: SideFigures
    candidate: SideFigures
    paired: int
    left_out: dict[str, int]
    outputs: tuple[OutputFigures, ...]
    agreement: Proportion | None
    alike: dict[str, Alike]
    """By output that is not a number, the pairs in which both sides say the same."""


def nothing_found(source: str, read: Accounting | None) -> str:
    """Say what was read of pair files; None if it was no files."""
    if read is None:
        return f"{source} holds no pairs"
    parts = (
        (1, plural(read.files, "pair file")),
        (read.lines, plural(read.lines, "line")),
        (read.foreign, f"{plural(read.foreign, 'span')} of other programs"),
        (read.torn, f"{read.torn:,} cut off (first: {read.first_torn})"),
        (read.corrupt, f"{read.corrupt:,} corrupt (first: {read.first_corrupt})"),
    )
    return f"{source} holds no pairs: " + ", ".join(text for count, text in parts if count)


def ordered_counts(counts: Mapping[Any, int]) -> dict[str, int]:
    """Return the values that occur, the most frequent first, then by name."""
    found = [(str(value), int(count)) for value, count in counts.items() if count]
    return dict(sorted(found, key=lambda each: (-each[1], each[0])))


def left_out_of(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return the counts of pairs without two `ok` sides by what happened to both."""
    return ordered_counts(
        {
            " and ".join(
                f"{side} {status}"
                for side, status in zip(SIDES, both, strict=True)
                if status != "ok"
            ): count
            for both, count in counts.items()
            if both != ("ok", "ok")
        }
    )
