"""The checks of outcomes: which rolls back, which holds, and their reasons."""

from dataclasses import replace
from typing import Any

import pytest

from flags.gate import Check, Decision, Outcome, Verdict, decide
from flags.gate.checks.outcomes import outcome_checks
from flags.gate.evidence import Count, Evidence, OutcomeCell, OutcomeMetric, Paired, Period
from flags.playbook.model import Playbook, Step
from tests.support.evidence import FLAG, SINCE, evidence, output

PLAYBOOK = Playbook.model_validate({"flag": FLAG, "labels": "none", "outcomes": {"complaint": {}}})
STEPS = {step.rollout: step for step in PLAYBOOK.steps[:-1]}


def arms(
    primary: tuple[int, int], candidate: tuple[int, int], share: float = 0.5, flips: int = 10_000
) -> tuple[OutcomeCell, ...]:
    """Return cells of (events on flips, others) of both arms, and flips where nothing happened."""
    found = []
    for is_candidate, (on_flips, others) in ((False, primary), (True, candidate)):
        found += [
            OutcomeCell(is_candidate, share, True, 1.0, 1.0, on_flips),
            OutcomeCell(is_candidate, share, False, 0.0, 1.0, others),
            OutcomeCell(is_candidate, share, True, 0.0, 0.0, flips),
        ]
    return tuple(each for each in found if each.units)


FINE = arms((500, 1_500), (480, 1_500))
WORSE = arms((500, 500), (1_500, 500))


def metric(cells: tuple[OutcomeCell, ...] = FINE, **changes: Any) -> OutcomeMetric:
    return replace(OutcomeMetric("complaint", "request", cells, outcomes=2_000), **changes)


def at(rollout: int, *metrics: OutcomeMetric, **changes: Any) -> Evidence:
    return replace(evidence(rollout=rollout), outcomes=metrics, **changes)


def judged(found: Evidence, step: Step | None = None, playbook: Playbook = PLAYBOOK) -> Verdict:
    return decide(found, playbook, step or STEPS[int(found.window.rollout)])


def checks(found: Verdict) -> dict[str, Check]:
    return {each.name: each for each in found.checks if each.subject}


def test_outcomes_that_stay_as_they_were_let_the_step_go_on_and_are_named_first() -> None:
    found = judged(at(50, metric()))
    assert found.decision is Decision.ADVANCE
    assert found.reasons[0].startswith("complaint: 0.99x the primary's over all traffic, by 20,98")
    assert checks(found)["outcome_ratio"].outcome is Outcome.PASS
    assert checks(found)["outcome_agreement"].outcome is Outcome.PASS


def test_outcomes_that_double_where_the_sides_differ_roll_back() -> None:
    found = judged(at(10, metric(arms((450, 450), (150, 50), 0.1))))
    assert found.decision is Decision.ROLLBACK
    assert found.reasons[0].startswith("complaint: 2.00x the primary's over all traffic, by 20,600")
    assert "rollback limit 1.25x" in found.reasons[0]


def test_outcomes_that_rise_where_both_decide_alike_roll_back_by_all_units_and_say_so() -> None:
    found = judged(at(50, metric(arms((0, 300), (0, 1_200)))))
    assert found.decision is Decision.ROLLBACK
    assert "of all units, rollback limit 1.25x" in found.reasons[0]
    assert (
        "equal decisions did not have equal outcomes" in checks(found)["outcome_agreement"].reason
    )


def test_outcomes_of_one_side_alone_roll_back_and_ask_for_those_of_the_other() -> None:
    found = judged(at(50, metric(arms((0, 0), (200, 600)))))
    assert found.decision is Decision.ROLLBACK
    asked = "; none of the primary's: does the table have outcomes of both sides?"
    assert found.reasons[0].endswith(asked)
    assert asked not in " ".join(judged(at(50, metric(WORSE))).reasons)


def test_a_difference_where_there_can_be_none_holds() -> None:
    found = judged(at(50, metric(arms((500, 5_000), (500, 4_300)))))
    assert found.decision is Decision.HOLD
    assert "0.86x the primary's where both sides decide alike" in found.reasons[0]


def test_where_less_is_worse_a_fall_rolls_back_and_a_rise_goes_on() -> None:
    less = Playbook.model_validate(
        {"flag": FLAG, "labels": "none", "outcomes": {"complaint": {"harm": "down"}}}
    )
    fallen = arms((1_500, 500), (500, 500))
    assert judged(at(50, metric(fallen)), playbook=less).decision is Decision.ROLLBACK
    assert judged(at(50, metric(WORSE)), playbook=less).decision is Decision.ADVANCE
    assert judged(at(50, metric(WORSE))).decision is Decision.ROLLBACK


def test_a_metric_of_the_playbook_without_its_table_holds_from_ten_per_cent_on() -> None:
    missing = {rollout: judged(at(rollout)).decision for rollout in STEPS}
    assert missing == {
        0: Decision.ADVANCE,
        1: Decision.ADVANCE,
        5: Decision.ADVANCE,
        10: Decision.HOLD,
        50: Decision.HOLD,
        100: Decision.ADVANCE,
    }
    reason = judged(at(10)).reasons[0]
    assert reason == "complaint: no outcomes are there: hand them in, or track them"


def test_too_few_events_hold_and_say_how_many_more_requests_are_needed() -> None:
    found = judged(at(10, metric(arms((5, 20), (1, 2), 0.1, flips=500))))
    assert found.decision is Decision.HOLD
    assert checks(found)["outcome_ratio"].outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"obstacle": "refused: because"}, "complaint: refused: because"),
        ({"cells": (), "young_requests": 12_000}, "no requests are old enough yet"),
        ({"mixed": Count(200, 10_000)}, "2 % of 10,000 units saw both sides"),
        ({"lost": 100}, "100 of 2,100 tracked outcomes never arrived"),
        (
            {"used": 1_000, "outside_period": 1_000, "early": 900},
            "900 of 2,000 outcomes are dated before their request, limit 5 %, and do not count: "
            "are the times of another time zone?",
        ),
    ],
)
def test_what_cannot_be_trusted_holds(changes: dict[str, Any], said: str) -> None:
    found = judged(at(10, metric(**changes)))
    assert found.decision is Decision.HOLD
    assert said in found.reasons[0]


def test_an_outcome_or_two_before_their_request_are_a_clock_that_is_behind() -> None:
    found = judged(at(10, metric(used=1_990, outside_period=10, early=10)))
    assert "outcome_times" not in checks(found)


def test_a_metric_by_another_name_is_named() -> None:
    found = judged(at(50, replace(metric(), name="Complaint")))
    assert found.decision is Decision.HOLD
    said = "complaint: no outcomes are there; the metrics that were handed in are 'Complaint'"
    assert said in found.reasons


def test_a_file_metric_that_the_playbook_does_not_name_is_taken_as_harm() -> None:
    plain = Playbook(flag=FLAG, labels="none")
    assert judged(at(5, metric(WORSE)), playbook=plain).decision is Decision.ROLLBACK
    assert judged(at(50, metric(())), playbook=plain).decision is Decision.ADVANCE


def test_a_tracked_metric_that_the_playbook_does_not_name_decides_nothing() -> None:
    plain = Playbook(flag=FLAG, labels="none")
    found = at(5, metric(WORSE, is_tracked=True))
    assert not list(outcome_checks(found, plain, STEPS[5]))


def test_one_surely_beyond_the_limit_to_go_on_holds_even_where_it_is_not_required() -> None:
    """1.18x over all traffic, between 1.10 and 1.25, shown by many events."""
    found = judged(at(5, metric(arms((40_000, 40_000), (54_400, 40_000)))))
    assert found.decision is Decision.HOLD
    assert "surely beyond it, not yet beyond the rollback limit" in found.reasons[0]


@pytest.mark.parametrize(
    ("covered", "decision"), [(1.0, Decision.ROLLBACK), (0.5, Decision.ADVANCE)]
)
def test_labels_of_nearly_everything_that_differ_by_side_roll_back(
    covered: float, decision: Decision
) -> None:
    coverage = {side: Count(int(covered * 1_000), 1_000) for side in ("primary", "candidate")}
    labels = metric(WORSE, name="labels", coverage=coverage)
    found = judged(at(50, metric(), labels_by_side=labels))
    assert found.decision is decision


def test_weights_divide_the_outcomes_part_of_the_error_rate() -> None:
    two = Playbook.model_validate(
        {"flag": FLAG, "labels": "none", "outcomes": {"complaint": {"weight": 2}, "review": {}}}
    )
    found = judged(at(50, metric(WORSE), metric(WORSE, name="review")), playbook=two)
    shares = {
        each.subject: 1 - (each.confidence or 0)
        for each in found.checks
        if each.name == "outcome_ratio"
    }
    assert shares["complaint"] == pytest.approx(2 * shares["review"])
    assert shares["complaint"] == pytest.approx(0.05 * 0.10 * 2 / 4)


@pytest.mark.parametrize(("capacity", "outcome"), [(400, Outcome.FAIL), (460, Outcome.PASS)])
def test_more_alarms_a_day_than_can_be_worked_off_at_the_next_step_hold(
    capacity: int, outcome: Outcome
) -> None:
    """300 alarms of the primary on the busiest day, 600 of the candidate: 450 at 50 %."""
    plan = Playbook.model_validate(
        {"flag": FLAG, "labels": "none", "outputs": {"probability": {"capacity": capacity}}}
    )
    days = [Period(SINCE, Paired(300, 0, 300, 5_000)), Period(SINCE, Paired(0, 0, 0, 10))]
    busy = output(Paired(40_000, 0, 0, 60_000), periods=tuple(days))
    found = decide(evidence(busy, rollout=10), plan, STEPS[10])
    (check,) = [each for each in found.checks if each.name == "capacity"]
    assert (check.outcome, check.rolls_back) == (outcome, False)
    assert check.figure == 450
    assert check.reason.startswith("about 450 alarms a day at 50 %")
