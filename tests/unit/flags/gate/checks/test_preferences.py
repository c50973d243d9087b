from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.gate import decide
from flags.gate.checks.preferences import preference_checks
from flags.gate.evidence import Count, Evidence, PreferenceEvidence, UnitPreference, UnitShare
from flags.gate.sequences import WinRateSequence
from flags.gate.verdict import Check, Decision, Outcome
from flags.playbook.model import Playbook, Step
from tests.support.evidence import FLAG, evidence, output

PLAYBOOK = Playbook(flag=FLAG)


def step(rollout: int) -> Step:
    return PLAYBOOK.steps_at(rollout)[0]


def judged(
    wins: int, losses: int, ties: int = 0, unjudged: int = 0, noise: tuple[UnitShare, ...] = ()
) -> PreferenceEvidence:
    units = (
        UnitPreference(0.0, 0.0, losses),
        UnitPreference(0.0, 1.0, unjudged),
        UnitPreference(0.5, 0.5, ties),
        UnitPreference(1.0, 1.0, wins),
    )
    total = wins + losses + ties + unjudged
    return PreferenceEvidence("answer", units, total, unjudged, (), Count(0, 0), noise)


def checks(found: PreferenceEvidence, rollout: int = 10) -> dict[str, Check]:
    taken = replace(evidence(rollout=rollout), preferences=(found,))
    return {each.name: each for each in preference_checks(taken, PLAYBOOK, step(rollout))}


def verdict_on(found: PreferenceEvidence, rollout: int, **changes: object) -> Decision:
    taken: Evidence = replace(evidence(rollout=rollout, **changes), preferences=(found,))
    return decide(taken, PLAYBOOK, step(rollout)).decision


def test_a_candidate_as_good_passes_and_one_surely_worse_fails() -> None:
    assert checks(judged(500, 400))["win_rate"].outcome is Outcome.PASS
    assert checks(judged(50, 150))["win_rate"].outcome is Outcome.FAIL
    assert checks(judged(20, 20))["win_rate"].outcome is Outcome.INCONCLUSIVE


def test_a_candidate_that_loses_is_rolled_back_but_for_the_shadow() -> None:
    assert verdict_on(judged(50, 150), 10) is Decision.ROLLBACK
    assert verdict_on(judged(50, 150), 0) is Decision.HOLD


def test_the_win_rate_is_demanded_where_labels_are() -> None:
    assert not checks(judged(20, 20), rollout=5)["win_rate"].required
    assert checks(judged(20, 20), rollout=10)["win_rate"].required  # the next step is at 50 %


def test_what_surely_is_below_the_limit_holds_though_nobody_demands_it() -> None:
    sure = checks(judged(41_500, 58_500), rollout=1)["win_rate"]

    assert (sure.outcome, sure.required) == (Outcome.INCONCLUSIVE, True)


def test_a_failing_judge_counts_against_either_side() -> None:
    assert checks(judged(500, 400))["win_rate"].outcome is Outcome.PASS
    failing = checks(judged(500, 400, unjudged=200))["win_rate"]
    assert failing.outcome is Outcome.INCONCLUSIVE
    assert "failed on 200" in failing.reason
    assert checks(judged(50, 150, unjudged=100))["win_rate"].outcome is not Outcome.FAIL


def test_a_judge_that_tells_the_same_model_from_itself_holds() -> None:
    noise = (UnitShare(0.0, 10), UnitShare(1.0, 90))
    found = checks(judged(500, 400, noise=noise))["judge_noise"]

    assert (found.outcome, found.rolls_back) == (Outcome.FAIL, False)
    fair = (UnitShare(0.0, 45), UnitShare(1.0, 50), UnitShare(0.5, 5))
    assert checks(judged(500, 400, noise=fair))["judge_noise"].outcome is Outcome.PASS


def test_limits_of_the_win_rate_must_not_cross() -> None:
    with pytest.raises(ValueError, match=r"advance\.win_rate is 0\.3, beyond the"):
        Playbook.model_validate({"flag": "f", "gate": {"advance": {"win_rate": 0.3}}})


def test_no_win_rate_is_looked_at_where_there_will_never_be_labels() -> None:
    plan = Playbook.model_validate({"flag": FLAG, "labels": "none"})
    taken = replace(evidence(), preferences=(judged(50, 150),))

    assert not list(preference_checks(taken, plan, plan.steps_at(10)[0]))


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=200),
    st.sampled_from([0.01, 0.05]),
)
def test_the_interval_holds_the_estimate_and_what_is_beyond_it_is_sure(
    values: list[float], alpha: float
) -> None:
    units = tuple(UnitPreference(each, each, values.count(each)) for each in sorted(set(values)))
    sequence = WinRateSequence(units)
    low, high = sequence.interval(alpha)

    assert sequence.value == pytest.approx(np.mean(values))
    assert 0 <= low <= np.mean(values) + 1e-9
    assert np.mean(values) - 1e-9 <= high <= 1
    for limit in (0.2, 0.5, 0.8):
        if abs(limit - low) > 1e-3:
            assert sequence.above(limit, alpha / 2) == (low > limit)
        if abs(limit - high) > 1e-3:
            assert sequence.below(limit, alpha / 2) == (high < limit)


def test_the_win_rate_is_missed_no_more_often_than_allowed_over_all_looks() -> None:
    """At a true win rate of one half, looked at after each of 400 prompts, nominal 0.1."""
    rng = np.random.default_rng(20)
    missed = 0
    for _ in range(300):
        values = rng.choice([0.0, 0.5, 1.0], size=400, p=[0.4, 0.2, 0.4])
        for n in range(20, 401, 20):
            seen = values[:n]
            units = tuple(
                UnitPreference(value, value, int((seen == value).sum()))
                for value in (0.0, 0.5, 1.0)
            )
            sequence = WinRateSequence(units)
            if sequence.above(0.5, 0.05) or sequence.below(0.5, 0.05):
                missed += 1
                break
    assert missed <= 42  # 30 expected at most; 42 has p = 0.01 there


def test_preferences_of_no_named_output_share_the_error_rate_with_the_outputs_there_are() -> None:
    unnamed = replace(judged(100, 100), output=None)
    scored = replace(evidence(output()), preferences=(unnamed,))
    assert (scored.compared, scored.sharing) == (1, 2)
    named = replace(scored, preferences=(replace(unnamed, output="answer"),))
    assert (named.compared, named.sharing) == (2, 2)
    assert replace(evidence(), outputs=(), preferences=(unnamed,)).sharing == 1
    assert evidence(output()).sharing == 1


def test_a_judge_that_goes_by_the_order_of_the_answers_holds() -> None:
    """Both orders of a pair contradict each other, so each is a tie and the win rate is a half."""
    found = replace(judged(0, 0, ties=400), consistent=Count(0, 400))
    assert checks(found)["win_rate"].outcome is Outcome.PASS
    assert checks(found)["judge_consistency"].outcome is Outcome.FAIL
    assert verdict_on(found, 10) is Decision.HOLD
    steady = replace(found, consistent=Count(300, 400))
    assert checks(steady)["judge_consistency"].outcome is Outcome.PASS


def test_preferences_that_belong_to_no_pair_hold() -> None:
    taken = replace(
        evidence(rollout=10),
        preferences=(judged(500, 300),),
        unknown_preferences=Count(400, 1_200),
    )
    found = {each.name: each for each in preference_checks(taken, PLAYBOOK, step(10))}
    assert found["unknown_preferences"].outcome is Outcome.FAIL
    assert "400 of 1,200 preferences belong to no pair" in found["unknown_preferences"].reason


def test_a_judge_that_calls_nearly_all_a_tie_is_told() -> None:
    assert "400 of them are ties" in checks(judged(10, 10, ties=400))["win_rate"].reason
