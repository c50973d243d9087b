"""Numbers, classes, rankings and preferences: bursts, days and nights, and selected labels."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import numpy as np

from flags.gate.checks import category, number, ranking
from flags.gate.checks.preferences import preference_checks
from flags.gate.evidence import (
    AnswerEvidence,
    Count,
    PreferenceEvidence,
    UnitPreference,
    UnitShare,
)
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, evidence

_LOOKS: Final = 12
_UNITS_A_LOOK: Final = 400
_BURST: Final = 20
"""Equal requests of a unit."""
_LEVELS: Final = 64
"""Number of levels to which values in [-1, 1] are rounded, like in the counts."""

_NAME: Final = "answer"
_STEP: Final = 50

Draw = Callable[[np.random.Generator, int], Array]
"""Draws a value in [-1, 1] for each of n units: the candidate's minus the primary's."""


def _shares(values: Array, times: int = 1) -> tuple[UnitShare, ...]:
    """Count units by value; each stands for `times` requests."""
    rounded, counts = np.unique(np.rint(values * _LEVELS) / _LEVELS, return_counts=True)
    found = zip(rounded.tolist(), counts.tolist(), strict=True)
    return tuple(UnitShare(value, times * count) for value, count in found)


def _ways(values: Array) -> dict[str, tuple[UnitShare, ...]]:
    return {"request": _shares(values, _BURST), "block": _shares(values), "unit": _shares(values)}


def _by_answer(figure: str, values: Array, answered: Array) -> dict[str, Any]:
    """Return the figures by answering side; `answered` marks the candidate's answers."""
    return {
        f"{figure}_primary": _ways(values[~answered]),
        f"{figure}_candidate": _ways(values[answered]),
    }


def _number(values: Array, answered: Array) -> AnswerEvidence:
    """Return numbers whose differences and errors are `values`, in units of the bound."""
    n = _BURST * len(values)
    return number.NumberEvidence(
        kind="number",
        name=_NAME,
        paired=n,
        labelled=n,
        units=len(values),
        spread=1.0,
        error_unit=1.0,
        quantile=None,
        bias=0.0,
        mean_absolute_difference=None,
        root_mean_squared_difference=None,
        correlation=None,
        primary=None,
        candidate=None,
        levels={
            "bias": _ways(values),
            "distance": _ways(abs(values)),
            "error": _ways(values),
            **_by_answer("error", values, answered),
        },
        coverage={},
        coverage_p=None,
    )


def _category(values: Array, answered: Array) -> AnswerEvidence:
    """Return classes; only one side is right if a value is 1 or -1."""
    n = _BURST * len(values)
    return category.CategoryEvidence(
        kind="category",
        name=_NAME,
        paired=n,
        labelled=n,
        units=len(values),
        unreadable=0,
        agreement=Count(int(_BURST * (values == 0).sum()), n),
        classes=(),
        changes=(),
        primary=None,
        candidate=None,
        levels={"right": _ways(values), **_by_answer("right", values, answered)},
        coverage={},
        coverage_p=None,
        never_predicted=Count(0, n),
        never_predicted_names=(),
    )


def _ranking(values: Array, answered: Array) -> AnswerEvidence:
    """Return rankings whose nDCG differs by `values`, with labels by answering side."""
    n = _BURST * len(values)
    none = Count(0, n)
    nobody: dict[str, Count] = {"primary": none, "candidate": none}
    return ranking.RankingEvidence(
        kind="ranking",
        name=_NAME,
        paired=n,
        labelled=n,
        units=len(values),
        unreadable=0,
        depth=10,
        persistence=0.9,
        overlap=None,
        rank_biased_overlap=None,
        same=none,
        same_first=none,
        lengths={"primary": None, "candidate": None},
        empty=nobody,
        items=(),
        distinct_items={"primary": 0, "candidate": 0},
        no_longer_shown=none,
        newly_shown=none,
        items_for_half={"primary": None, "candidate": None},
        groups=(),
        primary=None,
        candidate=None,
        by_served=(),
        levels={
            "overlap": _ways(1 - abs(values)),
            "rbo": _ways(1 - abs(values)),
            "empty": _ways(np.zeros(len(values))),
            **_by_answer("ndcg", values, answered),
        },
        coverage={},
        coverage_p=None,
    )


_CHECKS: Final[dict[str, Callable[..., Any]]] = {
    "number": number.checks,
    "category": category.checks,
    "ranking": ranking.checks,
}
_MAKE: Final[dict[str, Callable[[Array, Array], AnswerEvidence]]] = {
    "number": _number,
    "category": _category,
    "ranking": _ranking,
}


def _answers(random: np.random.Generator, *, kind: str, draw: Draw, wrong: Outcome) -> bool:
    """Look daily at the values of ever more units, each with a burst of equal requests."""
    values = np.zeros(0)
    for day in range(1, _LOOKS + 1):
        values = np.concatenate([values, draw(random, _UNITS_A_LOOK)])
        if _look(kind, values, timedelta(days=day), wrong):
            return True
    return False


def _look(
    kind: str, values: Array, held: timedelta, wrong: Outcome, answered: Array | None = None
) -> bool:
    """Say whether the gate errs at one look; by default, each side answers half of the requests."""
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(_STEP)[0]
    by_candidate = np.arange(len(values)) % 2 == 0 if answered is None else answered
    made = _MAKE[kind](values, by_candidate)
    found = replace(evidence(rollout=_STEP, held=held), answers=(made,))
    return _errs(list(_CHECKS[kind](found.answers[0], found, playbook, step)), wrong)


def _repeated(
    random: np.random.Generator,
    *,
    kind: str,
    draws: tuple[Draw, Draw],
    at: float,
    shadow: int,
    wrong: Outcome,
) -> bool:
    """Look daily at labels that repeat the served answer unless somebody objects.

    `draws` are for requests answered by the primary and by the candidate. The candidate answers a
    share `at` of all requests after the first days, which are a shadow.
    """
    values, answered = np.zeros(0), np.zeros(0, dtype=bool)
    for day in range(1, _LOOKS + 1):
        share = at if day > shadow else 0.0
        drawn = random.random(_UNITS_A_LOOK) < share
        more = np.where(drawn, draws[1](random, len(drawn)), draws[0](random, len(drawn)))
        values, answered = np.concatenate([values, more]), np.concatenate([answered, drawn])
        if share and _look(kind, values, timedelta(days=day), wrong, answered):
            return True
    return False


def _days_and_nights(
    random: np.random.Generator, *, kind: str, draws: tuple[Draw, Draw], wrong: Outcome
) -> bool:
    """Look twice a day for a week that begins at night; the candidate is worse at night."""
    values = np.zeros(0)
    for half in range(14):
        values = np.concatenate([values, draws[half % 2](random, _UNITS_A_LOOK // 2)])
        if _look(kind, values, timedelta(hours=12 * (half + 1)), wrong):
            return True
    return False


def _late_labels(
    random: np.random.Generator, *, kind: str, draw: Draw, late: float, wrong: Outcome
) -> bool:
    """Look daily at labels of units that are older than the cut-off.

    A label takes two days on average if the candidate is worse for it, else `late` days, so that
    some labels in favour of the candidate have not come by the cut-off.
    """
    cut_off = Playbook(flag=FLAG).label_cut_off.days
    values, begun, due = np.zeros(0), np.zeros(0), np.zeros(0)
    for day in range(cut_off + _LOOKS):
        drawn = draw(random, _UNITS_A_LOOK)
        values = np.concatenate([values, drawn])
        begun = np.concatenate([begun, np.full(_UNITS_A_LOOK, float(day))])
        takes = random.exponential(np.where(drawn * _WORSE_IS[kind] > 0, 2.0, late))
        due = np.concatenate([due, day + takes])
        known = values[(begun <= day - cut_off) & (due <= day)]
        if len(known) and _look(kind, known, timedelta(days=day + 1), wrong):
            return True
    return False


_WORSE_IS: Final = {"number": 1, "category": -1, "ranking": -1}
"""The sign of a value that is worse for the candidate: a larger error, or fewer right answers."""


def _preferences(random: np.random.Generator, *, share: float, wrong: Outcome) -> bool:
    """Look after every 40 judged units; the candidate wins a `share` of them, a fifth are ties."""
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(_STEP)[0]
    won = np.zeros(0)
    for _ in range(_LOOKS):
        drawn = random.choice([0.0, 0.5, 1.0], 40, p=[0.8 * (1 - share), 0.2, 0.8 * share])
        won = np.concatenate([won, drawn])
        values, counts = np.unique(won, return_counts=True)
        units = tuple(
            UnitPreference(value, value, int(count))
            for value, count in zip(values.tolist(), counts.tolist(), strict=True)
        )
        judged = PreferenceEvidence(_NAME, units, len(won), 0, (), Count(0, 0), ())
        found = replace(evidence(rollout=_STEP), preferences=(judged,))
        if _errs(list(preference_checks(found, playbook, step)), wrong):
            return True
    return False


def _errs(checks: list[Check], wrong: Outcome) -> bool:
    """Say whether a check rolls back (`wrong` is FAIL), else whether all required checks pass."""
    if wrong is Outcome.FAIL:
        return any(each.outcome is Outcome.FAIL and each.rolls_back for each in checks)
    return all(each.outcome is Outcome.PASS for each in checks if each.required)


def _normal(mean: float, random: np.random.Generator, n: int) -> Array:
    """Draw differences with a spread of an eighth of the bound: half a unit."""
    return np.clip(random.normal(mean, 0.125, n), -1, 1)


def _either(first: float, second: float, random: np.random.Generator, n: int) -> Array:
    """Draw -1 and 1 with the two probabilities, else 0."""
    return random.choice([-1.0, 0.0, 1.0], n, p=[first, 1 - first - second, second])


def _scenario(name: str, one: Callable[..., bool], wrong: Outcome, **more: Any) -> Scenario:
    is_rollback = wrong is Outcome.FAIL
    return Scenario(
        name,
        "D8",
        Kind.FALSE_ROLLBACK if is_rollback else Kind.FALSE_ADVANCE,
        0.05 if is_rollback else 0.01,
        partial(one_by_one, partial(one, wrong=wrong, **more)),
        200 if is_rollback else 400,
    )


_KEPT: Final = {
    "number": partial(_normal, 0.0),
    "category": partial(_either, 0.1, 0.1),
    "ranking": partial(_normal, 0.0),
}
_WORSE: Final = {
    "number": partial(_normal, 0.08),
    "category": partial(_either, 0.13, 0.07),
    "ranking": partial(_normal, -0.06),
}

_RHYTHM: Final[dict[str, tuple[Draw, Draw]]] = {
    "number": (partial(_normal, 0.15), partial(_normal, -0.15)),
    "category": (partial(_either, 0.2, 0.1), partial(_either, 0.1, 0.2)),
    "ranking": (partial(_normal, -0.1), partial(_normal, 0.1)),
}
"""Draws at night and by day; there is no difference over both together."""

_REPEATED: Final[dict[str, tuple[Draw, Draw]]] = {
    "number": (partial(_normal, 0.09), partial(_normal, -0.09)),
    "category": (partial(_either, 0.12, 0.02), partial(_either, 0.02, 0.12)),
}
"""Draws of two equally good sides, for requests answered by primary and by candidate."""

_WORSE_REPEATED: Final[dict[str, tuple[Draw, Draw]]] = {
    "number": (partial(_normal, 0.09), partial(_normal, -0.03)),
    "category": (partial(_either, 0.15, 0.02), partial(_either, 0.04, 0.08)),
}
"""The same with a worse candidate."""

SCENARIOS: Final = (
    *(
        _scenario(
            f"{kind}: bursts of 20, no difference", _answers, Outcome.FAIL, kind=kind, draw=draw
        )
        for kind, draw in _KEPT.items()
    ),
    *(
        _scenario(f"{kind}: bursts of 20, worse", _answers, Outcome.PASS, kind=kind, draw=draw)
        for kind, draw in _WORSE.items()
    ),
    *(
        _scenario(
            f"{kind}: days and nights, no difference",
            _days_and_nights,
            Outcome.FAIL,
            kind=kind,
            draws=draws,
        )
        for kind, draws in _RHYTHM.items()
    ),
    *(
        _scenario(
            f"{kind}: late labels, no difference",
            _late_labels,
            Outcome.FAIL,
            kind=kind,
            draw=draw,
            late=5.0,
        )
        for kind, draw in _KEPT.items()
    ),
    *(
        _scenario(
            f"{kind}: labels that repeat the answer, no difference, a shadow, then 10 %",
            _repeated,
            Outcome.FAIL,
            kind=kind,
            draws=draws,
            at=0.1,
            shadow=_LOOKS // 2,
        )
        for kind, draws in _REPEATED.items()
    ),
    *(
        _scenario(
            f"{kind}: labels that repeat the answer, worse, at 90 %",
            _repeated,
            Outcome.PASS,
            kind=kind,
            draws=draws,
            at=0.9,
            shadow=0,
        )
        for kind, draws in _WORSE_REPEATED.items()
    ),
    _scenario("preferences: equal", _preferences, Outcome.FAIL, share=0.5),
    _scenario("preferences: wins 35 %", _preferences, Outcome.PASS, share=0.35),
)
