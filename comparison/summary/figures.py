"""The figures of a flag's pairs: traffic by side, health of each side, differences of answers.

Figures that compare the sides come from pairs in which both sides are `ok`: the same requests on
both sides, so the traffic cannot explain a difference. Left out pairs are counted. The figures are
plain values; `comparison.summary.conclusion` draws the conclusion.
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
from flags.pairing.kinds.registry import equalities

SCORE_QUANTILES: Final = (0.5, 0.9, 0.95, 0.99, 0.995, 1.0)
LATENCY_QUANTILES: Final = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Share:
    """The candidate's share of the pairs at one rollout in per cent (None: unknown)."""

    rollout: float | None
    active: Proportion
    served: Proportion


@dataclass(frozen=True, slots=True)
class Traffic:
    """The candidate's shares of the traffic. A pair is served by a side, or unanswered."""

    active: Proportion
    served: Proportion
    unanswered: Proportion
    fallback: Proportion
    by_rollout: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class SideFigures:
    """The health of one side: counts by status, seconds to an `ok` answer, models, errors.

    `failed` is the share of errors and timeouts in the calls that were made (not shed or skipped).
    """

    side: str
    statuses: dict[str, Proportion]
    failed: Proportion
    latency: dict[float, float | None]
    models: dict[str, int]
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class OutputFigures:
    """The figures of one output. `unscored` of the `paired` pairs lack a finite score on a side.

    `scores` and `differences` (candidate minus primary, absolute) are quantiles by probability;
    `mean_difference` is signed; `mean_interval` is its interval, None with few pairs. `alarms` is
    None if no pair has a decision of both sides; `undecided` counts scored pairs without decisions
    of both. `thresholds` are those that occur, by side.
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


EQUAL: Final = {each.exact: each.of for each in equalities()}
"""Kind of answer, by the column that shows whether both sides give the same answer."""


@dataclass(frozen=True, slots=True)
class EqualAnswers:
    """The share of pairs in which both sides give equal answers, of a kind."""

    kind: str
    share: Proportion


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of a comparison. `left_out` counts pairs without two `ok` sides by status.

    `agreement` is the share of pairs with equal decisions of both sides in every output, such as
    the classes of a model; None unless several outputs have decisions.
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
    equal_answers: dict[str, EqualAnswers]
    """Shares of equal answers, by output that is not a number."""


def empty_files_message(source: str, read: Accounting | None) -> str:
    """Return a message on pair files without pairs; `read` is None if there were no files."""
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
    """Return the counts above 0, the most frequent value first, then by name."""
    found = [(str(value), int(count)) for value, count in counts.items() if count]
    return dict(sorted(found, key=lambda each: (-each[1], each[0])))


def left_out_of(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return the counts of pairs without two `ok` sides, by the statuses that are not `ok`."""
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
