"""The latest stretch may refute what the whole shows: failures, and alarms of other requests."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flags.gate import decide
from flags.gate.evidence import Evidence, Minute, Paired, Period
from flags.gate.verdict import Decision, Verdict
from flags.playbook.model import Playbook
from tests.support.evidence import ALARMS, FLAG, SINCE, evidence, output, periods

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
    """Return evidence of which the last 24 hours have other alarms than those before."""
    hours = periods(ALARMS)
    late = tuple(Period(each.start, last) for each in hours[-24:])
    return evidence(output(periods=(*hours[:-24], *late)), rollout=1)


def verdict(found: Evidence, playbook: Playbook = PLAYBOOK) -> Verdict:
    return decide(found, playbook, CANARY_1)


def test_a_candidate_that_fails_just_now_does_not_go_on() -> None:
    """Over two weeks, twelve minutes are nothing."""
    found = verdict(failing(*[0.0] * 60, *[1.0] * 12))
    assert found.decision is Decision.HOLD
    [reason] = found.reasons
    assert reason.startswith("failures against the primary's: last 15 minutes +80 points (by minut")
    assert reason.endswith("limit +0.2 points")


@pytest.mark.parametrize("failed", [(0.0,) * 72, (*[0.0] * 71, 1.0), (-1.0,) * 12, ()])
def test_a_failed_call_or_a_primary_that_fails_refutes_nothing(failed: tuple[float, ...]) -> None:
    assert verdict(failing(*failed)).decision is Decision.ADVANCE


def test_alarms_that_are_of_other_requests_since_yesterday_do_not_go_on() -> None:
    """As many alarms as ever, and over all 93 % of them in common."""
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
