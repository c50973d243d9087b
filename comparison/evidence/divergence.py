"""Divergences of two samples (PSI, KS, Wasserstein), from counts over the same bins.

Counts have shape (m,), bins in ascending order. None where a sample is empty. These figures
describe and do not decide: how large they become by chance depends on the sample sizes.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

GROUPS: Final = 10
"""Groups of equal size of the first sample that `psi` compares: its deciles."""

Booleans = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def psi(first: Counts, second: Counts) -> float | None:
    """Return the population stability index on the deciles of the first sample.

    The sum of (q - p) ln(q / p) over groups, p and q their shares: Siddiqi, "Credit Risk
    Scorecards" (2006), chapter 7; it is Jeffreys' divergence, Kullback & Leibler (1951). Half a
    count is added to every group, so that an empty group does not make the sum infinite. For two
    samples of the same distribution it is about (1/n + 1/m) times a chi-square of 9 degrees of
    freedom: Yurdakul & Naranjo (2020), Journal of Risk Model Validation 14(4).
    """
    if not first.sum() or not second.sum():
        return None
    group = groups(first)
    p, q = (_smoothed(np.bincount(group, weights=each)) for each in (first, second))
    return float(((q - p) * np.log(q / p)).sum())


def groups(counts: Counts) -> Counts:
    """Return the number of the group of each bin: `GROUPS` groups, as equal as the bins allow.

    A bin with as many counts as a whole group is a group of its own, so that the bins below and
    above it are in different groups.
    """
    total = int(counts.sum())
    upper = np.cumsum(counts)
    marks = np.arange(1, GROUPS) * total / GROUPS
    ends = np.searchsorted(upper, marks) + 1
    alone = np.flatnonzero(counts * GROUPS >= total) if total else np.array([], dtype=np.int64)
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    starts[np.concatenate([ends, alone, alone + 1]).astype(np.int64)] = 1
    starts[0] = 0
    return np.cumsum(starts[:-1])


def ks(first: Counts, second: Counts) -> float | None:
    """Return the largest difference of the two distribution functions, 0 to 1.

    Kolmogorov (1933), Smirnov (1939).
    """
    if not first.sum() or not second.sum():
        return None
    return float(np.abs(_shares(first) - _shares(second)).max())


def wasserstein(first: Counts, second: Counts, centres: Floats) -> float | None:
    """Return the area between the two distribution functions, in the unit of the values.

    It is the first Wasserstein distance: Vallender (1974), Theory of Probability and its
    Applications 18:784-786.
    """
    if not first.sum() or not second.sum():
        return None
    distance = np.abs(_shares(first) - _shares(second))[:-1]
    with np.errstate(over="ignore"):  # the result is then infinite
        return float((distance * centres[1:] - distance * centres[:-1]).sum())


def binned_quantiles(
    counts: Counts, centres: Floats, probabilities: Iterable[float]
) -> dict[float, float | None]:
    """Return the linearly interpolated sample quantiles of values at bin centres.

    They are those of `comparison.evidence.statistics.quantiles` (Hyndman & Fan 1996, type 7).
    None where nothing was counted.
    """
    wanted = list(probabilities)
    total = int(counts.sum())
    if not total:
        return dict.fromkeys(wanted)
    upper = np.cumsum(counts)
    places = np.array(wanted) * (total - 1)
    below = np.floor(places)
    low = centres[np.searchsorted(upper, below, side="right")]
    high = centres[np.searchsorted(upper, np.ceil(places), side="right")]
    share = places - below
    found = low * (1 - share) + high * share  # high - low could overflow a double
    return dict(zip(wanted, found.tolist(), strict=True))


def _smoothed(counts: npt.NDArray[Any]) -> Floats:
    smoothed: Floats = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return smoothed


def _shares(counts: Counts) -> Floats:
    shares: Floats = np.cumsum(counts) / counts.sum()
    return shares
