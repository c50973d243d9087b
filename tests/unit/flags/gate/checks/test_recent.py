"""Recent evidence may refute the whole: failures, alarm overlap and recall."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flags.gate import decide
from flags.gate.evidence import Evidence, Minute, Output, Paired, Period, UnitRecall, UnitShare
from flags.gate.verdict import Decision, Verdict
from flags.playbook.model import Playbook, Step
from tests.support.evidence import (
    ALARMS,
    CAUGHT,
    FLAG,
    SINCE,
    evidence,
    labelled,
    output,
    periods,
)

PLAYBOOK = Playbook(flag=FLAG, labels="none")
SHADOW, CANARY_1, *_, DEPRECATION = PLAYBOOK.steps
HELD = timedelta(days=14)
END = int((SINCE + HELD).timestamp()) // 60


def failing(*failed: float) -> Evidence:
    """Return evidence whose last minutes have these shares of failures."""
    minutes = tuple(
        Minute(END - len(failed) + place, share, 0.02, 0.02) for place, share in enumerate(failed)
    )
    return evidence(rollout=1, health={"minutes": minutes})


def with_last_day(last: Paired) -> Evidence:
    """Return evidence whose last 24 hours have other alarms than the hours before."""
    hours = periods(ALARMS)
    late = tuple(Period(each.start, last) for each in hours[-24:])
    return evidence(output(periods=(*hours[:-24], *late)), rollout=1)


def verdict(found: Evidence, playbook: Playbook = PLAYBOOK) -> Verdict:
    return decide(found, playbook, CANARY_1)


def test_a_candidate_that_fails_just_now_does_not_go_on() -> None:
    """Over two weeks, twelve minutes do not show."""
    found = verdict(failing(*[0.0] * 60, *[1.0] * 12))
    assert found.decision is Decision.HOLD
    [reason] = found.reasons
    assert reason.startswith("failures against the primary's: last 15 minutes +80 points (by minut")
    assert reason.endswith("limit +0.2 points")


@pytest.mark.parametrize("failed", [(0.0,) * 72, (*[0.0] * 71, 1.0), (-1.0,) * 12, ()])
def test_a_failed_call_or_a_primary_that_fails_refutes_nothing(failed: tuple[float, ...]) -> None:
    assert verdict(failing(*failed)).decision is Decision.ADVANCE


def test_alarms_that_are_of_other_requests_since_yesterday_do_not_go_on() -> None:
    """As many alarms as before, and an overlap of 93 % over all pairs."""
    found = verdict(with_last_day(Paired(1, 9, 9, 1_180)))
    assert found.decision is Decision.HOLD
    said = "of the primary's alarms the candidate raises too: last day 10 % ("
    [reason] = [each for each in found.reasons if each.startswith(said)]
    assert reason.endswith("; before, in the same hours, 95.3 %), limit 50 %")


def test_alarms_that_were_never_in_common_are_no_news() -> None:
    """The limit is there for the whole, which labels may excuse."""
    never = Paired(200, 1_800, 1_800, ALARMS.pairs - 3_800)
    found = evidence(output(never, periods=periods(never)), rollout=1)
    assert not [each for each in verdict(found).checks if each.name == "recent_alarm_overlap"]


def test_a_limit_of_0_and_the_deprecation_ask_for_nothing() -> None:
    lost = with_last_day(Paired(1, 9, 9, 1_180))
    accepted = Playbook.model_validate(
        {"flag": FLAG, "labels": "none", "gate": {"advance": {"alarm_overlap": 0}}}
    )
    for found in (
        decide(lost, accepted, CANARY_1),
        decide(replace(lost), PLAYBOOK, DEPRECATION),
    ):
        assert not [each for each in found.checks if each.name == "recent_alarm_overlap"]


EXPECTED = Playbook(flag=FLAG)
"""A playbook that expects labels, by default."""


def with_last_caught(last: Paired, before: Paired = CAUGHT, **changes: object) -> Output:
    """Return an output whose last 24 hours have other alarms of the positives than those before."""
    hours = periods(before)
    late = tuple(Period(each.start, last) for each in hours[-24:])
    return output(caught=(*hours[:-24], *late), **{**labelled(), **changes})


def recalls(found: Output, step: Step = CANARY_1, playbook: Playbook = EXPECTED) -> list[str]:
    checks = decide(evidence(found, rollout=1), playbook, step).checks
    assert not [each for each in checks if each.name == "recent_recall" and each.rolls_back]
    return [each.reason for each in checks if each.name == "recent_recall"]


LOST = Paired(1, 3, 0, 1)


def test_recall_that_is_lost_since_yesterday_does_not_go_on() -> None:
    found = with_last_caught(LOST)
    [reason] = recalls(found)
    assert reason.startswith("recall against the primary's, of pairs whose labels count: last day")
    assert "last day -60 points (-" in reason
    assert reason.endswith("; before, in the same hours, +5.41), limit -5 points")
    assert decide(evidence(found, rollout=1), EXPECTED, CANARY_1).decision is Decision.HOLD


def test_the_latest_day_is_that_of_labels_that_count() -> None:
    """Labels of the last two weeks may not count yet; the day before is the latest one."""
    old = with_last_caught(LOST)
    earlier = tuple(Period(each.start - timedelta(days=14), each.alarms) for each in old.caught)
    assert recalls(replace(old, caught=earlier)) == recalls(old)


def test_recall_as_before_or_lost_all_the_time_is_no_news() -> None:
    assert recalls(with_last_caught(Paired(4, 0, 0, 1))) == []
    assert recalls(with_last_caught(LOST, before=Paired(300, 900, 0, 300))) == []
    assert recalls(output(**labelled())) == []


def test_labels_that_are_selected_or_not_expected_show_no_loss_of_late() -> None:
    flagged = labelled(shares=(1.0, 1.0, 1.0, 0.0))
    assert recalls(with_last_caught(LOST, **flagged)) == []
    assert recalls(with_last_caught(LOST), playbook=PLAYBOOK) == []
    assert recalls(with_last_caught(LOST), step=DEPRECATION) == []


def test_positives_of_few_units_count_as_few() -> None:
    """A day of 120 positives in clusters of twenty equal ones shows nothing."""
    found = with_last_caught(LOST)
    assert found.quality is not None
    share = (UnitShare(0.0, 50),)
    by_unit = UnitRecall(share, share, mean_burst_size=20.0, design_effect=1.0)
    assert recalls(replace(found, quality=replace(found.quality, by_unit=by_unit))) == []
