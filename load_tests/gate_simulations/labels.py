"""Labels that are late, selected, few, or of no pair: the scenarios of labels."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from comparison.evidence.bootstrap import average_precision_difference
from comparison.evidence.joint_counts import JointCounts
from flags.gate import Decision
from flags.gate.checks.labels import label_checks
from flags.gate.checks.quality import quality_checks
from flags.gate.decide import concluded
from flags.gate.evidence import (
    Count,
    GivenLabels,
    LabelledCell,
    Labelling,
    Paired,
    UnitRecall,
    UnitShare,
)
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, evidence, output, quality

_LOOKS: Final = (10_000, 15_000, 25_000, 40_000, 60_000, 100_000, 150_000, 200_000)
"""Pairs at which the gate is asked, from the least that a step may have on."""

_PAIRS_A_DAY: Final = 20_000
_NOMINAL_ADVANCE: Final = 0.01
_NOMINAL_ROLLBACK: Final = 0.05
_FIRED: Final = ((True, True), (True, False), (False, True), (False, False))
_PREVALENCE: Final = 0.01
_FALSE: Final = 0.002
"""Share of the negatives that a side alarms, half of them together."""


def _cells(
    random: np.random.Generator, n: int, recalls: tuple[float, float], overlap: float = 0.95
) -> np.ndarray:
    """Draw (cells, truth) of n pairs; both alarm a share of what the side of less recall alarms."""
    together = overlap * min(recalls)
    positive = [together, recalls[0] - together, recalls[1] - together]
    negative = [_FALSE / 2] * 3
    shares = [
        [rate * part for part in (*each, 1 - sum(each))]
        for rate, each in ((_PREVALENCE, positive), (1 - _PREVALENCE, negative))
    ]
    return random.multinomial(n, np.concatenate(shares)).reshape(2, 4).T


def _known(
    random: np.random.Generator,
    counts: np.ndarray,
    rollout: float,
    shares: dict[str, tuple[float, float, float, float]],
) -> tuple[LabelledCell, ...]:
    """Give a share of the pairs of each cell a label, by the side that served."""
    candidate = random.binomial(counts, rollout)
    found = []
    for served, pairs in (("primary", counts - candidate), ("candidate", candidate)):
        for fired, row, share in zip(_FIRED, pairs, shares[served], strict=True):
            hit, miss = random.binomial(row, share)
            found.append(LabelledCell(served, *fired, int(row.sum()), int(hit), int(miss)))
    return tuple(found)


def _times(cells: tuple[LabelledCell, ...], burst: int) -> tuple[LabelledCell, ...]:
    return tuple(
        replace(
            each,
            pairs=burst * each.pairs,
            positives=burst * each.positives,
            negatives=burst * each.negatives,
        )
        for each in cells
    )


def _verdict(
    cells: tuple[LabelledCell, ...],
    rollout: int,
    *,
    young: bool = False,
    given: GivenLabels | None = None,
    coverage_p: float = 1e-9,
    burst: int = 1,
) -> Decision:
    """Ask the gate of labels alone: all else is in order."""
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(rollout)[0]
    covered = {}
    for side in ("primary", "candidate"):
        rows = [each for each in cells if each.served == side and each.pairs]
        if rows:
            covered[side] = Count(
                sum(each.labelled for each in rows), sum(each.pairs for each in rows)
            )
    labelling = Labelling(cells, (), covered, coverage_p, float(burst))
    if young:
        labelling = Labelling((), cells, {}, None, float(burst))
    old = () if young else cells

    def among(kind: str) -> Paired:
        return Paired(
            *(
                sum(
                    getattr(each, kind)
                    for each in old
                    if (each.primary_alarm, each.candidate_alarm) == fired
                )
                for fired in _FIRED
            )
        )

    caught, false_alarms = among("positives"), among("negatives")
    labels = caught.pairs + false_alarms.pairs
    of = quality(caught, labelled=labels, false_alarms=false_alarms) if labels else None
    if of and burst > 1:
        of = replace(of, by_unit=_by_unit(caught, burst))
    found = evidence(output(quality=of, labelling=labelling), rollout=rollout)
    found = replace(found, labels=given)
    checks = (*label_checks(found, playbook, step), *quality_checks(found, playbook, step))
    return concluded(checks, found).decision


def _by_unit(caught: Paired, burst: int) -> UnitRecall:
    """Return the recall by unit of bursts that are wholly alike."""
    same, lost, gained = caught.both + caught.neither, caught.primary_only, caught.candidate_only
    shares = tuple(
        UnitShare(share, n // burst) for share, n in ((-1.0, lost), (0.0, same), (1.0, gained))
    )
    return UnitRecall(shares, shares, float(burst), 1.0)


_ALL: Final = (1.0, 1.0, 1.0, 1.0)
_HALF: Final = (0.5, 0.5, 0.5, 0.5)
_COMPLETE: Final = {"primary": _ALL, "candidate": _ALL}
_LOOP: Final = {"primary": (1.0, 1.0, 0.0, 0.0), "candidate": (1.0, 0.0, 1.0, 0.0)}
"""Labels exist only for what the served side flagged."""


def _labelled_right(_random: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    return cells


def _of_other_requests(random: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    """Label the pairs of each cell as often positive as all requests are."""
    pairs = cells.sum(axis=1)
    positive = random.binomial(pairs, _PREVALENCE)
    return np.stack([positive, pairs - positive], axis=1)


def _wrong_way_round(_random: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    return cells[:, ::-1]


def _looked_into(cells: tuple[LabelledCell, ...]) -> tuple[LabelledCell, ...]:
    """Find the positives of answered alarms alone, and take all else for negative."""
    return _shown(cells, answered=True)


def _prevented(cells: tuple[LabelledCell, ...]) -> tuple[LabelledCell, ...]:
    """Let an answered alarm prevent what would be positive."""
    return _shown(cells, answered=False)


def _shown(cells: tuple[LabelledCell, ...], *, answered: bool) -> tuple[LabelledCell, ...]:
    return tuple(
        each
        if (each.primary_alarm, each.candidate_alarm)[each.served == "candidate"] is answered
        else replace(each, positives=0, negatives=each.labelled)
        for each in cells
    )


def _ever(
    random: np.random.Generator,
    *,
    recalls: tuple[float, float],
    rollout: int,
    shares: dict[str, tuple[float, float, float, float]],
    wrong: Decision,
    young: bool = False,
    burst: int = 1,
    overlap: float = 0.95,
    labelled: Callable[[np.random.Generator, np.ndarray], np.ndarray] = _labelled_right,
    shown: Callable[[tuple[LabelledCell, ...]], tuple[LabelledCell, ...]] = tuple,
) -> bool:
    """Look at ever more pairs, in bursts that are alike, and say if the verdict ever is wrong."""
    counts, seen = _cells(random, 0, recalls), 0
    for pairs in _LOOKS:
        counts += labelled(random, _cells(random, (pairs - seen) // burst, recalls, overlap))
        seen = pairs
        cells = shown(_times(_known(random, counts, rollout / 100, shares), burst))
        if _verdict(cells, rollout, young=young, burst=burst) is wrong:
            return True
    return False


def _held(random: np.random.Generator) -> float:
    """Return hours until labels no longer hold a shadow whose candidate recalls as much."""
    counts = np.zeros((4, 2), dtype=np.int64)
    for hour in range(6, 28 * 24, 6):
        counts += _cells(random, _PAIRS_A_DAY // 4, (0.72, 0.72))
        cells = _known(random, counts, 0.0, _COMPLETE)
        if counts.sum() >= _LOOKS[0] and _verdict(cells, 0, young=True) is Decision.ADVANCE:
            return float(hour)
    return math.inf


def _no_pair(random: np.random.Generator) -> bool:
    """Say whether labels advance of which those with leading zeros have lost them."""
    n = _LOOKS[-1]
    cells = _known(
        random, _cells(random, n, (0.7, 0.7)), 0.0, {"primary": (0.9,) * 4, "candidate": _ALL}
    )
    given = GivenLabels(n, int(random.binomial(n, 0.1)), ("7",), ("007",))
    return _verdict(cells, 0, given=given) is Decision.ADVANCE


def _few(random: np.random.Generator) -> bool:
    """Say whether the interval of average precision misses at .5 % positives, 600 labels."""
    n = 600
    positive = random.random(n) < 0.005
    positive[0] = True
    risk = random.normal(0, 1, n) + 3 * positive
    scores = [risk + random.normal(0, 0.5, n) for _ in range(2)]
    place = np.unique(np.concatenate(scores), return_inverse=True)[1]
    joint = JointCounts(
        place[:n].astype(np.int64),
        place[n:].astype(np.int64),
        positive.astype(np.int8),
        np.ones(n, np.int64),
        np.arange(2 * n, dtype=float),
    )
    gained = [_average_precision(score, positive) for score in scores]
    interval, _error = average_precision_difference(joint, gained[1] - gained[0])
    assert interval.low is not None  # noqa: S101  # there is a positive
    assert interval.high is not None  # noqa: S101
    return not interval.low <= 0 <= interval.high


def _average_precision(score: np.ndarray, positive: np.ndarray) -> float:
    hits = positive[np.argsort(-score)]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def _scenario(row: str, name: str, kind: Kind, one: Any, runs: int = 400) -> Scenario:
    nominal = _NOMINAL_ADVANCE if kind is Kind.FALSE_ADVANCE else _NOMINAL_ROLLBACK
    return Scenario(name, row, kind, nominal, partial(one_by_one, one), runs)


def _bursts(row: str, kind: Kind, recall: float, rollout: int, wrong: Decision) -> Scenario:
    """Label all requests of bursts of twenty; the sides alarm different ones."""
    one = partial(
        _ever,
        recalls=(0.72, recall),
        rollout=rollout,
        shares=_COMPLETE,
        wrong=wrong,
        burst=20,
        overlap=0.8,
    )
    return _scenario(
        row, f"labels of bursts of 20, recall .72 to .{100 * recall:.0f}", kind, one, 400
    )


def _misfits(
    row: str, kind: Kind, recalls: tuple[float, float], rollout: int, wrong: Decision
) -> Iterator[Scenario]:
    """Yield labels that do not fit what the sides answered."""
    for which, labelled in (
        ("of other requests", _of_other_requests),
        ("the wrong way round", _wrong_way_round),
    ):
        one = partial(
            _ever,
            recalls=recalls,
            rollout=rollout,
            shares=_COMPLETE,
            wrong=wrong,
            labelled=labelled,
        )
        before, after = (f".{100 * recall:.0f}" for recall in recalls)
        yield _scenario(row, f"labels {which}, recall {before} to {after}", kind, one)


def _loop(recalls: tuple[float, float], rollout: int, wrong: Decision) -> Any:
    return partial(_ever, recalls=recalls, rollout=rollout, shares=_LOOP, wrong=wrong)


SCENARIOS: Final = (
    *(
        _scenario(
            "A5",
            f"{age} labels, recall .72 to .{100 * recall:.0f}",
            Kind.FALSE_ADVANCE,
            partial(
                _ever,
                recalls=(0.72, recall),
                rollout=0,
                shares=_COMPLETE,
                wrong=Decision.ADVANCE,
                young=age == "young",
            ),
            400,
        )
        for age, recall in (("young", 0.50), ("young", 0.60), ("old", 0.50), ("old", 0.60))
    ),
    Scenario(
        "young labels, equal recall, 20,000 pairs a day; the hold is 168 h",
        "A5",
        Kind.DELAY,
        168.0,
        partial(one_by_one, _held),
        100,
    ),
    _scenario(
        "A6",
        "labels for 100 % and 60 % of the answers",
        Kind.FALSE_ADVANCE,
        partial(
            _ever,
            recalls=(0.7, 0.7),
            rollout=50,
            shares={"primary": _ALL, "candidate": (0.6,) * 4},
            wrong=Decision.ADVANCE,
        ),
    ),
    _scenario(
        "A7",
        "labels of what was flagged, .80 to .60",
        Kind.FALSE_ADVANCE,
        _loop((0.8, 0.6), 100, Decision.ADVANCE),
    ),
    *_misfits("A17", Kind.FALSE_ADVANCE, (0.72, 0.36), 50, Decision.ADVANCE),
    *_misfits("B10", Kind.FALSE_ROLLBACK, (0.36, 0.72), 10, Decision.ROLLBACK),
    *(
        _scenario(
            "A18",
            f"answered alarms prevent, recall .80 to .60, at {rollout} %",
            Kind.FALSE_ADVANCE,
            partial(
                _ever,
                recalls=(0.8, 0.6),
                rollout=rollout,
                shares=_COMPLETE,
                wrong=Decision.ADVANCE,
                shown=_prevented,
            ),
        )
        for rollout in (10, 50)
    ),
    *(
        _scenario(
            "B11",
            f"answered alarms looked into, others negative, equal recall, at {rollout} %",
            Kind.FALSE_ROLLBACK,
            partial(
                _ever,
                recalls=(0.72, 0.72),
                rollout=rollout,
                shares=_COMPLETE,
                wrong=Decision.ROLLBACK,
                overlap=0.75,
                shown=_looked_into,
            ),
        )
        for rollout in (1, 10)
    ),
    _bursts("B1", Kind.FALSE_ROLLBACK, 0.72, 10, Decision.ROLLBACK),
    _bursts("B1", Kind.FALSE_ADVANCE, 0.60, 50, Decision.ADVANCE),
    _scenario("A14", "a tenth of the ids lost their zeros", Kind.FALSE_ADVANCE, _no_pair),
    _scenario("A16", "interval of .5 % positives", Kind.FALSE_ROLLBACK, _few),
    _scenario(
        "B7",
        "labels of what was flagged, equal recall",
        Kind.FALSE_ROLLBACK,
        _loop((0.8, 0.8), 1, Decision.ROLLBACK),
    ),
    _scenario(
        "B7",
        "labels of what was flagged, .80 to .85",
        Kind.FALSE_ROLLBACK,
        _loop((0.8, 0.85), 1, Decision.ROLLBACK),
    ),
    _scenario(
        "B7",
        "half of the labels, equal recall",
        Kind.FALSE_ROLLBACK,
        partial(
            _ever,
            recalls=(0.7, 0.7),
            rollout=10,
            shares={"primary": _HALF, "candidate": _HALF},
            wrong=Decision.ROLLBACK,
        ),
    ),
)
