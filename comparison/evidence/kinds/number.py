"""The evidence on a number without a threshold, from its sums."""

import math
from collections.abc import Mapping

from comparison.counts.kinds.number import NumberCounts
from comparison.evidence.kinds.levels import labelled_by_side, values_by_figure, young_labels
from comparison.evidence.kinds.parts import answer_parts
from comparison.evidence.labelling import coverage_p
from flags.gate.checks.number import NumberErrors, NumberEvidence


def evidence(counts: NumberCounts, units: int) -> NumberEvidence:
    """Return the evidence; `units` is the number of units in the window."""
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
        clusters=counts.levels.clusters,
        early_labels=young_labels(counts.coverage),
        levels=values_by_figure(counts.levels.table),
        coverage=covered,
        coverage_p=coverage_p(covered),
    )


def _correlation(sums: Mapping[str, float], n: int) -> float | None:
    """Return Pearson's correlation of both sides, None where a side is constant."""
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
    correlation, scale = _fit(sums, side, n)
    return NumberErrors(
        mean_absolute_error=sums[f"distance_{side}_labelled"] / n,
        root_mean_squared_error=math.sqrt(squared / n),
        bias=sums[f"error_{side}_labelled"] / n,
        r2=1 - squared / variation if variation > 0 else None,
        pinball=sums[f"loss_{side}_labelled"] / n if counts.quantile is not None else None,
        correlation=correlation,
        scale=scale,
    )


def _fit(sums: Mapping[str, float], side: str, n: int) -> tuple[float | None, float | None]:
    """Return the correlation with the labels, and their standard deviation by the side's own."""
    if f"fit_product_{side}" not in sums:
        return None, None
    means = {name: sums[f"fit_{name}"] / n for name in (side, "label")}
    variances = {name: sums[f"fit_squared_{name}"] / n - mean**2 for name, mean in means.items()}
    if min(variances.values()) <= 0:
        return None, None
    covariance = sums[f"fit_product_{side}"] / n - means[side] * means["label"]
    deviation = {
        name: math.sqrt(each) * sums[f"fit_spread_{name}"] for name, each in variances.items()
    }
    correlation = covariance / math.sqrt(variances[side] * variances["label"])
    return correlation, deviation["label"] / deviation[side]
