"""The evidence on a number without a threshold, from its sums."""

import math
from collections.abc import Mapping

from comparison.counts.kinds.number import NumberCounts
from comparison.evidence.kinds.levels import labelled_by_side, values_by_figure, young_labels
from comparison.evidence.kinds.parts import answer_parts
from comparison.evidence.labelling import coverage_p
from flags.gate.checks.number import NumberErrors, NumberEvidence


def evidence(counts: NumberCounts, units: int) -> NumberEvidence:
    """Return the evidence; `units` is how many units the pairs of the window name."""
    sums = counts.sums
    n, labelled = int(sums["n"]), int(sums.get("n_labelled", 0))
    covered = labelled_by_side(counts.coverage)
    return NumberEvidence(
        kind=counts.kind,
        name=counts.name,
        paired=n,
        labelled=labelled,
        units=units,
        spread=counts.spread,
        error_unit=counts.error,
        quantile=counts.quantile,
        bias=sums["difference"] / n if n else None,
        mean_absolute_difference=sums["distance"] / n if n else None,
        root_mean_squared_difference=math.sqrt(sums["squared_difference"] / n) if n else None,
        correlation=_correlation(sums, n),
        primary=_errors(counts, "primary", labelled),
        candidate=_errors(counts, "candidate", labelled),
        parts=answer_parts(counts.parts),
        young=young_labels(counts.coverage),
        levels=values_by_figure(counts.levels),
        coverage=covered,
        coverage_p=coverage_p(covered),
    )


def _correlation(sums: Mapping[str, float], n: int) -> float | None:
    """Return Pearson's, None where a side always says the same."""
    if not n:
        return None
    primary, candidate = sums["primary"] / n, sums["candidate"] / n
    variances = (
        sums["squared_primary"] / n - primary**2,
        sums["squared_candidate"] / n - candidate**2,
    )
    if min(variances) <= 0:
        return None
    covariance = sums["product"] / n - primary * candidate
    return covariance / math.sqrt(variances[0] * variances[1])


def _errors(counts: NumberCounts, side: str, n: int) -> NumberErrors | None:
    if not n:
        return None
    sums = counts.sums
    squared = sums[f"squared_error_{side}_labelled"]
    variation = sums["squared_label_labelled"] - sums["label_labelled"] ** 2 / n
    return NumberErrors(
        mean_absolute_error=sums[f"distance_{side}_labelled"] / n,
        root_mean_squared_error=math.sqrt(squared / n),
        bias=sums[f"error_{side}_labelled"] / n,
        r2=1 - squared / variation if variation > 0 else None,
        pinball=sums[f"loss_{side}_labelled"] / n if counts.quantile is not None else None,
    )
