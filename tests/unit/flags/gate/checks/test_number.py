from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flags.gate.checks.labels import label_checks
from flags.gate.checks.number import NumberErrors, NumberEvidence, checks
from flags.gate.evidence import Count, GivenLabels, UnitShare
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook
from tests.support.evidence import FLAG, evidence

PLAYBOOK = Playbook(flag=FLAG)
PAIRS = 5_000


def found(
    held: timedelta,
    bias: float,
    error: float | None,
    uncut: float | None = None,
    **changes: Any,
) -> dict[str, Check]:
    """Judge numbers that all differ by `bias` and have larger errors, in parts of 4 units."""
    numbers = numbers_of(bias, error, uncut, **changes)
    step = PLAYBOOK.steps_at(5)[0]
    taken = replace(evidence(rollout=5, held=held), answers=(numbers,))
    return {each.name: each for each in checks(numbers, taken, PLAYBOOK, step)}


def numbers_of(
    bias: float, error: float | None, uncut: float | None = None, **changes: Any
) -> NumberEvidence:
    """Return numbers that all differ by `bias` and have larger errors, in parts of 4 units.

    `uncut` is the mean difference where nothing is cut, if that is another one.
    """

    def of_all(value: float) -> dict[str, tuple[UnitShare, ...]]:
        return {way: (UnitShare(value, PAIRS),) for way in ("request", "block")}

    levels = {"bias": of_all(bias), "distance": of_all(abs(bias))}
    if error is not None:
        levels |= dict.fromkeys(("error", "error_primary", "error_candidate"), of_all(error))
    numbers = NumberEvidence(
        kind="number",
        name="price",
        paired=PAIRS,
        labelled=0 if error is None else PAIRS,
        units=0,
        spread=10.0,
        error_unit=None if error is None else 5.0,
        quantile=None,
        bias=40 * bias if uncut is None else uncut,
        mean_absolute_difference=40 * abs(bias),
        root_mean_squared_difference=40 * abs(bias),
        correlation=None,
        primary=None,
        candidate=None,
        levels=levels,
        coverage={},
        coverage_p=None,
    )
    return replace(numbers, **changes)


def test_numbers_that_are_far_higher_roll_back_once_the_evidence_is_a_day_old() -> None:
    early = found(timedelta(hours=1), bias=0.5, error=None)["number_bias"]
    assert (early.outcome, early.required) == (Outcome.INCONCLUSIVE, True)
    late = found(timedelta(days=2), bias=0.5, error=None)["number_bias"]
    assert (late.outcome, late.rolls_back) == (Outcome.FAIL, True)


@pytest.mark.parametrize(
    ("paired", "reason"),
    [(0, "no pair has a number of both sides"), (PAIRS, "the primary says one number only, so ")],
)
def test_where_no_spread_is_known_the_reason_says_why(paired: int, reason: str) -> None:
    check = found(timedelta(days=2), bias=0, error=None, spread=None, paired=paired)["number_bias"]
    assert check.outcome is Outcome.INCONCLUSIVE
    assert check.reason.startswith(reason)


@pytest.mark.parametrize("held", [timedelta(hours=1), timedelta(days=2)], ids=str)
def test_labels_that_show_a_smaller_error_excuse_the_difference_at_any_age(held: timedelta) -> None:
    checked = found(held, bias=0.5, error=-0.1)
    assert checked["error_loss"].outcome is Outcome.PASS
    for name in ("number_bias", "number_distance"):
        check = checked[name]
        assert (check.outcome, check.required) == (Outcome.INCONCLUSIVE, False)
        assert not check.rolls_back
    assert checked["number_distance"].reason.endswith("labels show the error")


def errors(mean: float) -> NumberErrors:
    return NumberErrors(mean, mean, 0.0, None, None)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [(3_270.0, "818x the primary's"), (6.6, "+65 %"), (3.6, "")],
    ids=["cents", "tails", "as counted"],
)
def test_a_mean_error_that_is_cut_says_what_it_is_without_that(candidate: float, said: str) -> None:
    """True values in euros, numbers in cents: `+400 %` was 818 times as much."""
    sides = {"primary": errors(4.0), "candidate": errors(candidate)}
    check = found(timedelta(days=2), bias=0, error=-0.03, **sides)["error_loss"]
    words = f"; differences are cut at 4 mean errors: {said} without that"
    assert check.reason.endswith(words if said else "labels=5,000)")


@pytest.mark.parametrize(("bias", "said"), [(1_741.5, "+174.150"), (-1_741.5, "-174.150")])
def test_a_bias_that_is_cut_says_what_it_is_without_that(bias: float, said: str) -> None:
    check = found(timedelta(days=2), bias=1.0, error=None, uncut=bias)["number_bias"]
    assert check.reason.endswith(f"; differences are cut at 4 spreads: {said} without that")
    as_counted = found(timedelta(days=2), bias=0.5, error=None)["number_bias"]
    assert "without that" not in as_counted.reason


def test_labels_of_several_outputs_that_are_all_young_are_said_to_be_young() -> None:
    prices = numbers_of(0.0, None, early_labels=Count(900, 900))
    given = GivenLabels(900, 0, columns=("label.price", "label.tax"))
    taken = replace(
        evidence(rollout=10), answers=(prices, replace(prices, name="tax")), labels=given
    )
    judged = {each.name: each for each in label_checks(taken, PLAYBOOK, PLAYBOOK.steps_at(10)[0])}
    assert judged["labels"].outcome is Outcome.INCONCLUSIVE
    assert judged["labels"].reason.startswith("none of the 1,800 labels counts yet")
