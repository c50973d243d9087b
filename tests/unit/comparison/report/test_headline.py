"""The sentences about a verdict: why, what next, since when; and the limits of its checks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from comparison.evidence.number_format import ratio, signed
from comparison.judgement.judgement import Judgement
from comparison.report.check_format import write_check
from comparison.report.check_limits import Limit, check_limits
from comparison.report.forecast import about, forecast
from comparison.report.headline import headline
from flags.gate import decide
from flags.gate.next_step import NextStep
from flags.gate.verdict import Check, Decision, Outcome, Verdict
from flags.playbook.model import Playbook
from flags.playbook.outcomes import OutcomePlan
from tests.support.simulated_evidence import FLAG, realistic

PLAYBOOK = Playbook(flag=FLAG, outcomes={"sales": OutcomePlan(harm="down")})
STEP = PLAYBOOK.steps_at(10)[0]
NOW = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def check(name: str, **changes: object) -> Check:
    usual = Check(name, "o", None, Outcome.INCONCLUSIVE, 1.0, 0.9, 1.1, 1.1, 100, f"{name}: why")
    return replace(usual, **changes)  # type: ignore[arg-type]


def judged(decision: Decision, *checks: Check) -> Judgement:
    verdict = Verdict(decision, checks, tuple(each.reason for each in checks))
    return Judgement(PLAYBOOK, STEP, verdict)


def test_a_hold_names_the_checks_to_fix_and_the_checks_not_decided_yet() -> None:
    checks = (
        check("capacity", outcome=Outcome.FAIL),
        check("alarm_ratio", more_needed=12_000),
        check("segment_alarm_ratio", segment="a=b"),
        check("segment_alarm_ratio", segment="a=c"),
        check(
            "no_alarm_ratio", beyond_advance_limit=True
        ),  # more pairs will not show that it is within
        check("latency_p50", outcome=Outcome.PASS),
    )
    said = headline(realistic(2_000), judged(Decision.HOLD, *checks))
    assert said.following[:2] == (
        "to be fixed: alarms a day; ratio of no alarms",
        "not decided yet: alarm ratio; alarm ratio in segment (2) (about 12,000 more pairs or "
        "labels)",
    )
    assert said.following[2].startswith("next: ramp, 50 %, ")
    assert (len(said.reasons), len(said.more)) == (3, 3)


def test_since_when_names_the_step_and_the_break() -> None:
    broken = check("alarm_break", outcome=Outcome.FAIL, since=NOW)
    said = headline(realistic(2_000), judged(Decision.ROLLBACK, broken))
    assert said.since[0].startswith("canary, 10 % since 2018-07-17 00:00 UTC")
    assert said.since[1] == "other alarms since about 2026-11-30 00:00 UTC"
    assert said.following[-1] == "once the failure is fixed, begin again at shadow, 0 %"


def test_an_advance_says_how_long_the_next_step_is_held() -> None:
    said = headline(realistic(2_000), judged(Decision.ADVANCE))
    assert said.following == ("ramp, 50 % is held for 2d at least, with 10,000 pairs",)


@pytest.mark.parametrize(
    ("days", "said"),
    [(3, "about 3 days"), (1, "about 1 day"), (0.2, "about 5 hours"), (0.005, "about 7 minutes")],
)
def test_a_forecast_says_how_long_it_takes_as_one_says_it(days: float, said: str) -> None:
    expected = NOW + days * DAY
    following = NextStep("ramp, 50 %", 50, NOW, expected, needs_approval=False)
    assert said == about(days * 86_400)
    assert forecast(following, NOW) == (
        f"ramp, 50 %, expected in {said} ({expected:%Y-%m-%d %H:%M} UTC) at the present rate"
    )


def test_a_step_that_needs_more_than_time_has_no_expected_time() -> None:
    following = NextStep("ramp, 50 %", 50, NOW, None, needs_approval=True)
    assert forecast(following, NOW) == ("ramp, 50 %, with approval, once what is missing is there")
    later = replace(following, not_before=NOW + DAY)
    assert forecast(later, NOW) == "ramp, 50 %, with approval, not before 2026-12-01 00:00 UTC"


@pytest.mark.parametrize(
    ("name", "changes", "age", "advance", "rollback"),
    [
        ("alarm_ratio", {}, 0.5, Limit(1.1, True), Limit(3.0, True)),
        ("alarm_ratio", {}, 3, Limit(1.1, True), Limit(1.75, True)),
        ("alarm_ratio", {}, 9, Limit(1.1, True), Limit(1.25, True)),
        ("latency_p99", {"output": None}, 9, Limit(2.0), Limit(4.0)),
        ("recall_loss", {}, 9, Limit(-0.05), Limit(-0.1)),
        ("failure_rate", {"output": None}, 0.5, Limit(0.002), Limit(0.05)),
        ("completeness", {"limit": 0.999}, 9, Limit(0.999), None),
        ("alarm_break", {"limit": 1.25}, 9, None, Limit(1.25, True)),
        ("outcome_ratio", {"subject": "complaint"}, 9, Limit(1.1), Limit(1.25)),
        ("outcome_ratio", {"subject": "sales"}, 9, Limit(1 / 1.1), Limit(0.8)),
        ("operational_alarm", {"limit": None}, 9, None, None),
    ],
)
def test_each_check_has_its_limits_to_advance_and_to_roll_back(
    name: str, changes: dict[str, object], age: float, advance: Limit | None, rollback: Limit | None
) -> None:
    found = check_limits(check(name, **changes), PLAYBOOK, STEP, age * DAY)
    assert found == (advance, rollback)


def test_a_two_sided_limit_is_written_as_a_range() -> None:
    assert Limit(1.25, two_sided=True).text(ratio) == "0.80 to 1.25"
    assert Limit(0.8, two_sided=True).text(ratio) == "0.80 to 1.25"
    assert Limit(-0.05).text(signed) == "-0.0500"


def test_every_check_of_a_verdict_can_be_written_with_its_limits() -> None:
    verdict = decide(realistic(2_000), PLAYBOOK, STEP)
    for each in verdict.checks:
        advance, rollback = check_limits(each, PLAYBOOK, STEP, 9 * DAY)
        if each.rolls_back and each.subject is None:
            assert rollback is not None, each.name
        if each.limit is not None and each.name != "alarm_break":
            assert advance is not None, each.name


@pytest.mark.parametrize(
    ("name", "value", "figure"),
    [
        ("operational_alarm", 20.0, "20"),
        ("operational_alarm", 0.25, "0.25"),
        ("recall_loss", -0.05, "-5.00"),
        ("failure_rate", 0.0, "0"),
        ("alarm_ratio", 23.4, "23"),
        ("hold_time", 808.0, "13m 28s"),
    ],
)
def test_a_figure_is_written_as_in_its_reason(name: str, value: float, figure: str) -> None:
    found = check(name, figure=value, output=None, subject="queue")
    judgement = judged(Decision.HOLD, found)
    assert write_check(found, judgement, realistic()).figure == figure
