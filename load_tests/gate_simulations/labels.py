"""The scenarios of labels that are late, selected, few, or belong to no pair."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from flags.gate import Decision
from flags.gate.evidence import GivenLabels
from load_tests.gate_simulations.few_labels import misses_average_precision
from load_tests.gate_simulations.label_draws import (
    Cells,
    drawn_cells,
    every_label,
    in_bursts,
    labelled_cells,
    labelled_right,
    looked_into,
    of_other_requests,
    partly_looked_into,
    partly_prevented,
    prevented,
    wrong_way_round,
)
from load_tests.gate_simulations.label_verdict import verdict_on_labels
from load_tests.gate_simulations.scenario import Kind, Scenario, one_by_one

_LOOKS: Final = (10_000, 15_000, 25_000, 40_000, 60_000, 100_000, 150_000, 200_000)
"""Numbers of pairs at the looks, from the minimum of a step on."""

_PAIRS_A_DAY: Final = 20_000
_NOMINAL_ADVANCE: Final = 0.01
_NOMINAL_ROLLBACK: Final = 0.05
_ALL: Final = (1.0, 1.0, 1.0, 1.0)
_HALF: Final = (0.5, 0.5, 0.5, 0.5)
_COMPLETE: Final = {"primary": _ALL, "candidate": _ALL}
_ANSWERED_ALARMS: Final = {"primary": (1.0, 1.0, 0.0, 0.0), "candidate": (1.0, 0.0, 1.0, 0.0)}
"""Labels exist only for alarms of the answering side."""


def _is_ever_wrong(
    random: np.random.Generator,
    *,
    recalls: tuple[float, float],
    rollout: int,
    shares: dict[str, tuple[float, float, float, float]],
    wrong: Decision,
    young: bool = False,
    burst: int = 1,
    overlap: float = 0.95,
    truth: Callable[[np.random.Generator, np.ndarray], np.ndarray] = labelled_right,
    effect: Callable[[np.random.Generator, Cells], Cells] = every_label,
    shadow: int = 0,
) -> bool:
    """Look at a growing number of pairs, in bursts; say whether a verdict is ever `wrong`.

    `shares` are the shares of labelled pairs by answering side and cell. `truth` draws what the
    labels say of pairs, and `effect` how the answers change that. The pairs of a `shadow`, in which
    the primary answers all, come first.
    """
    before = labelled_cells(random, drawn_cells(random, shadow, recalls, overlap), 0.0, shares)
    shadow_cells = effect(random, before) if shadow else ()
    counts, seen = drawn_cells(random, 0, recalls), 0
    for pairs in _LOOKS:
        counts += truth(random, drawn_cells(random, (pairs - seen) // burst, recalls, overlap))
        seen = pairs
        cells = in_bursts(labelled_cells(random, counts, rollout / 100, shares), burst)
        cells = shadow_cells + effect(random, cells)
        if verdict_on_labels(cells, rollout, young=young, burst=burst) is wrong:
            return True
    return False


def _hours_held(random: np.random.Generator) -> float:
    """Return the hours until labels no longer hold a shadow with equal recall of both sides."""
    counts = np.zeros((4, 2), dtype=np.int64)
    for hour in range(6, 28 * 24, 6):
        counts += drawn_cells(random, _PAIRS_A_DAY // 4, (0.72, 0.72))
        cells = labelled_cells(random, counts, 0.0, _COMPLETE)
        if (
            counts.sum() >= _LOOKS[0]
            and verdict_on_labels(cells, 0, young=True) is Decision.ADVANCE
        ):
            return float(hour)
    return math.inf


def _hours_to_rollback(random: np.random.Generator, *, shadow: int) -> float:
    """Return the hours at 10 % until a candidate that lost recall is rolled back."""
    before = labelled_cells(random, drawn_cells(random, shadow, (0.8, 0.8)), 0.0, _COMPLETE)
    counts = np.zeros((4, 2), dtype=np.int64)
    for hour in range(6, 28 * 24, 6):
        counts += drawn_cells(random, _PAIRS_A_DAY // 4, (0.8, 0.5))
        cells = before + labelled_cells(random, counts, 0.1, _COMPLETE)
        if verdict_on_labels(cells, 10) is Decision.ROLLBACK:
            return float(hour)
    return math.inf


_HALF_LOOKS: Final = (40_000, 60_000, 100_000, 200_000)
"""Numbers of pairs at the looks at 50 %, from the hold of two days on."""


def _advances_by_shadow_labels(
    random: np.random.Generator, *, recalls: tuple[float, float], effect: Callable[..., Cells]
) -> bool:
    """Say whether the gate ever advances from 50 % by the labels of a shadow; the others are young.

    In the shadow only the primary answers, so its labels cannot show that they follow the answer.
    """
    before = labelled_cells(random, drawn_cells(random, 100_000, recalls), 0.0, _COMPLETE)
    shadow = effect(random, before)
    counts, seen = drawn_cells(random, 0, recalls), 0
    for pairs in _HALF_LOOKS:
        counts, seen = counts + drawn_cells(random, pairs - seen, recalls), pairs
        young = effect(random, labelled_cells(random, counts, 0.5, _COMPLETE))
        if verdict_on_labels(shadow, 50, young_too=young) is Decision.ADVANCE:
            return True
    return False


def _advances_late(random: np.random.Generator) -> float:
    """Return the pairs at 50 % until an equal candidate advances by the labels of a shadow."""
    equal = (0.8, 0.8)
    shadow = labelled_cells(random, drawn_cells(random, 100_000, equal), 0.0, _COMPLETE)
    for pairs in _HALF_LOOKS:
        drawn = drawn_cells(random, pairs, equal)
        young = labelled_cells(random, drawn, 0.5, _COMPLETE)
        if verdict_on_labels(shadow, 50, young_too=young) is Decision.ADVANCE:
            return 24.0 * pairs / _PAIRS_A_DAY
    return math.inf


def _advances_despite_lost_zeros(random: np.random.Generator) -> bool:
    """Say whether the gate advances if request ids of labels have lost their leading zeros."""
    n = _LOOKS[-1]
    cells = labelled_cells(
        random, drawn_cells(random, n, (0.7, 0.7)), 0.0, {"primary": (0.9,) * 4, "candidate": _ALL}
    )
    given = GivenLabels(n, int(random.binomial(n, 0.1)), ("7",), ("007",))
    return verdict_on_labels(cells, 0, given=given) is Decision.ADVANCE


def _scenario(row: str, name: str, kind: Kind, one: Any, runs: int = 400) -> Scenario:
    nominal = _NOMINAL_ADVANCE if kind is Kind.FALSE_ADVANCE else _NOMINAL_ROLLBACK
    return Scenario(name, row, kind, nominal, partial(one_by_one, one), runs)


def _bursts(row: str, kind: Kind, recall: float, rollout: int, wrong: Decision) -> Scenario:
    """Return a scenario of bursts of twenty, all labelled; the sides alarm different bursts."""
    one = partial(
        _is_ever_wrong,
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


def _wrong_labels(
    row: str, kind: Kind, recalls: tuple[float, float], rollout: int, wrong: Decision
) -> Iterator[Scenario]:
    """Yield scenarios of labels that belong to other requests, or are inverted."""
    for which, truth in (
        ("of other requests", of_other_requests),
        ("the wrong way round", wrong_way_round),
    ):
        one = partial(
            _is_ever_wrong,
            recalls=recalls,
            rollout=rollout,
            shares=_COMPLETE,
            wrong=wrong,
            truth=truth,
        )
        before, after = (f".{100 * recall:.0f}" for recall in recalls)
        yield _scenario(row, f"labels {which}, recall {before} to {after}", kind, one)


def _answered_alarms(recalls: tuple[float, float], rollout: int, wrong: Decision) -> Any:
    return partial(
        _is_ever_wrong, recalls=recalls, rollout=rollout, shares=_ANSWERED_ALARMS, wrong=wrong
    )


SCENARIOS: Final = (
    *(
        _scenario(
            "A5",
            f"{age} labels, recall .72 to .{100 * recall:.0f}",
            Kind.FALSE_ADVANCE,
            partial(
                _is_ever_wrong,
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
        partial(one_by_one, _hours_held),
        100,
    ),
    _scenario(
        "A6",
        "labels for 100 % and 60 % of the answers",
        Kind.FALSE_ADVANCE,
        partial(
            _is_ever_wrong,
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
        _answered_alarms((0.8, 0.6), 100, Decision.ADVANCE),
    ),
    *_wrong_labels("A17", Kind.FALSE_ADVANCE, (0.72, 0.36), 50, Decision.ADVANCE),
    *_wrong_labels("B10", Kind.FALSE_ROLLBACK, (0.36, 0.72), 10, Decision.ROLLBACK),
    *(
        _scenario(
            "A18",
            f"answered alarms prevent, recall .80 to .60, at {rollout} %",
            Kind.FALSE_ADVANCE,
            partial(
                _is_ever_wrong,
                recalls=(0.8, 0.6),
                rollout=rollout,
                shares=_COMPLETE,
                wrong=Decision.ADVANCE,
                effect=prevented,
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
                _is_ever_wrong,
                recalls=(0.72, 0.72),
                rollout=rollout,
                shares=_COMPLETE,
                wrong=Decision.ROLLBACK,
                overlap=0.75,
                effect=looked_into,
            ),
        )
        for rollout in (1, 10)
    ),
    _bursts("B1", Kind.FALSE_ROLLBACK, 0.72, 10, Decision.ROLLBACK),
    _bursts("B1", Kind.FALSE_ADVANCE, 0.60, 50, Decision.ADVANCE),
    _scenario(
        "A14",
        "a tenth of the ids lost their zeros",
        Kind.FALSE_ADVANCE,
        _advances_despite_lost_zeros,
    ),
    _scenario("A16", "interval of .5 % positives", Kind.FALSE_ROLLBACK, misses_average_precision),
    _scenario(
        "B7",
        "labels of what was flagged, equal recall",
        Kind.FALSE_ROLLBACK,
        _answered_alarms((0.8, 0.8), 1, Decision.ROLLBACK),
    ),
    _scenario(
        "B7",
        "labels of what was flagged, .80 to .85",
        Kind.FALSE_ROLLBACK,
        _answered_alarms((0.8, 0.85), 1, Decision.ROLLBACK),
    ),
    _scenario(
        "B7",
        "half of the labels, equal recall",
        Kind.FALSE_ROLLBACK,
        partial(
            _is_ever_wrong,
            recalls=(0.7, 0.7),
            rollout=10,
            shares={"primary": _HALF, "candidate": _HALF},
            wrong=Decision.ROLLBACK,
        ),
    ),
    _scenario(
        "A18",
        "90 % of answered alarms prevent, labels of a shadow, recall .80 to .60, at 50 %",
        Kind.FALSE_ADVANCE,
        partial(_advances_by_shadow_labels, recalls=(0.8, 0.6), effect=partly_prevented),
    ),
    Scenario(
        "all labels, those of a shadow old, equal recall, at 50 %; the hold is 48 h",
        "A18",
        Kind.DELAY,
        72.0,
        partial(one_by_one, _advances_late),
        100,
    ),
    *(
        _scenario(
            "B11",
            f"60 % of answered alarms looked into, 5 % of others found, at {rollout} %",
            Kind.FALSE_ROLLBACK,
            partial(
                _is_ever_wrong,
                recalls=(0.72, 0.72),
                rollout=rollout,
                shares=_COMPLETE,
                wrong=Decision.ROLLBACK,
                overlap=0.75,
                effect=partly_looked_into,
                shadow=100_000,
            ),
        )
        for rollout in (1, 10, 50)
    ),
    *(
        Scenario(
            f"all labels, recall .80 to .50 at 10 %, after a shadow of {shadow:,} pairs",
            "B11",
            Kind.DELAY,
            nominal,
            partial(one_by_one, partial(_hours_to_rollback, shadow=shadow)),
            100,
        )
        for shadow, nominal in ((0, 96.0), (100_000, 120.0))
    ),
)
