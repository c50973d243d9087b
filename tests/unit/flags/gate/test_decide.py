"""The gate: verdicts and their reasons, by evidence."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparison.report.check_table import CHECKS
from flags.gate import Check, Decision, Outcome, Verdict, decide
from flags.gate.blocks import total
from flags.gate.error_rate import SHARES, error_share, segment_share
from flags.gate.evidence import (
    Count,
    Evidence,
    Gap,
    GivenLabels,
    Health,
    Integrity,
    Interval,
    Paired,
    Period,
    Sampled,
    SegmentAlarms,
    Tail,
    UnitAlarms,
    UnitHealth,
    UnitShare,
)
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import times
from flags.gate.sequences import RatioSequence
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step
from tests.support.evidence import (
    FLAG,
    PAIRS,
    SINCE,
    durations,
    evidence,
    labelled,
    labelling,
    output,
    periods,
    quality,
)
from tests.support.markdown import DOCS, rows, section

PLAYBOOK = Playbook(flag=FLAG)
SHADOW, CANARY_1, CANARY_5, CANARY_10, RAMP_50, RAMP_100, DEPRECATION = PLAYBOOK.steps

LATENCIES = ("latency_p50", "latency_p95", "latency_p99")

TWICE = Paired(80, 20, 120, 19_780)
"""A candidate that fires twice as often, at an alarm rate of 0.5 % and an overlap of 80 %."""


def verdict(found: Evidence, step: Step = SHADOW, playbook: Playbook = PLAYBOOK) -> Verdict:
    return decide(found, playbook, step)


def check(found: Verdict, name: str, **of: Any) -> Check:
    (one,) = [
        each
        for each in found.checks
        if each.name == name and all(getattr(each, key) == value for key, value in of.items())
    ]
    return one


def at(step: Step, **changes: Any) -> Evidence:
    """Return evidence of a step with labels, unless the outputs are given."""
    outputs = changes.pop("outputs", (output(**labelled()),))
    return evidence(*outputs, rollout=step.rollout, **changes)


# --- the three decisions --------------------------------------------------------------------------


@pytest.mark.parametrize("step", PLAYBOOK.steps, ids=lambda step: step.name)
def test_a_step_with_everything_in_order_advances(step: Step) -> None:
    found = verdict(at(step), step)
    assert (found.decision, {each.outcome for each in found.checks}) == (
        Decision.ADVANCE,
        {Outcome.PASS},
    )
    assert any(reason.startswith("held for 14d of") for reason in found.reasons)


def test_a_candidate_that_alarms_twice_as_often_is_rolled_back_where_it_answers() -> None:
    found = verdict(at(CANARY_5, outputs=[output(TWICE)], pairs=20_000), CANARY_5)
    assert found.decision is Decision.ROLLBACK
    (reason,) = found.reasons
    assert re.fullmatch(
        r"alarm rate 2.00x primary's, rollback limit 1.25x \(.* n=20,000\) over 2 whole weeks",
        reason,
    )
    alarms = check(found, "alarm_ratio")
    assert (alarms.outcome, alarms.figure, alarms.limit) == (Outcome.FAIL, 2, 1.25)
    assert alarms.confidence == pytest.approx(1 - 0.05 * SHARES["alarm_ratio"])
    assert alarms.low is not None
    assert 1.25 < alarms.low < 2


def test_a_ratio_over_whole_weeks_counts_the_pairs_of_these() -> None:
    """A ratio of the first fourteen days was reported with the n of all sixteen days."""
    later = output(TWICE, periods=periods(TWICE, 16 * 24))
    found = verdict(at(CANARY_5, outputs=[later], pairs=20_000, held=timedelta(days=16)), CANARY_5)
    assert found.reasons[0].endswith("n=17,499) over 2 whole weeks")  # of 17,500, rounded by hour
    assert check(found, "alarm_ratio").n == 17_499


def test_in_the_shadow_the_same_is_held_because_the_candidate_answers_nobody() -> None:
    found = verdict(evidence(output(TWICE), pairs=20_000))
    assert found.decision is Decision.HOLD
    assert found.reasons[0].startswith("alarm rate 2.00x primary's, rollback limit 1.25x")
    assert found.reasons[-1] == "HOLD and not ROLLBACK: at 0 % the candidate answers nobody"


def test_between_both_limits_the_gate_holds_however_many_pairs_there_are() -> None:
    alarms = Paired(180_000, 20_000, 58_000, 40_000_000)
    found = verdict(at(CANARY_5, outputs=[output(alarms)]), CANARY_5)
    assert found.decision is Decision.HOLD
    assert found.reasons == (
        "alarm rate 1.19x primary's, limit 1.10x (95 % CI 1.18 to 1.20, n=40,258,000): surely "
        "beyond it, not yet beyond the rollback limit 1.25x",
    )


def test_a_margin_of_its_own_lets_an_output_pass() -> None:
    alarms = Paired(1_800, 200, 580, PAIRS)
    own = {
        "probability": {"gate": {"advance": {"alarm_ratio": 1.3}, "rollback": {"alarm_ratio": 2}}}
    }
    playbook = Playbook.model_validate({"flag": FLAG, "outputs": own})
    assert verdict(evidence(output(alarms)), playbook=playbook).decision is Decision.ADVANCE
    assert verdict(evidence(output(alarms))).decision is Decision.HOLD


def test_a_candidate_that_hardly_alarms_any_more_is_rolled_back_too() -> None:
    found = verdict(at(CANARY_5, outputs=[output(Paired(100, 300, 0, 99_600))]), CANARY_5)
    assert found.decision is Decision.ROLLBACK
    assert found.reasons[0].startswith("alarm rate 0.25x primary's, rollback limit 0.57x")
    assert found.reasons[0].endswith("over 14 whole days")


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        (
            {"failures": Paired(0, 0, 8_000, PAIRS - 8_000)},
            "failures +2 points against the primary's, rollback limit +1 points (",
        ),
        (
            {"fallbacks": Count(1_000, 20_000)},
            "5 % of the candidate's requests fell back, rollback limit 3 % (",
        ),
        (
            {
                "durations": {
                    "primary": durations(0.02, PAIRS),
                    "candidate": durations(0.2, PAIRS),
                },
                "block_ratios": dict.fromkeys(LATENCIES, (9.9,) * 40),
            },
            "p50 beyond the rollback limit 3.00x in 40 of 40 blocks of ten minutes, 9.91x in all",
        ),
    ],
)
def test_a_candidate_that_fares_badly_is_rolled_back(health: dict[str, Any], reason: str) -> None:
    found = verdict(at(CANARY_5, health=health), CANARY_5)
    assert found.decision is Decision.ROLLBACK
    assert found.reasons[0].startswith(reason)


def test_the_reason_of_failures_names_the_most_frequent_exception() -> None:
    errors = {"primary": {"OSError": 9}, "candidate": {"KeyError": 1_000, "ValueError": 23_000}}
    health = {"failures": Paired(0, 0, 24_000, PAIRS - 24_000), "errors": errors}
    found = verdict(at(CANARY_5, health=health), CANARY_5)
    assert found.decision is Decision.ROLLBACK
    assert check(found, "failure_rate").reason.endswith(
        "; most often ValueError (23,000 of 24,000 exceptions)"
    )
    fine = verdict(at(CANARY_5, health={"errors": errors}), CANARY_5)
    assert "most often" not in check(fine, "failure_rate").reason


def test_a_slow_candidate_passes_where_it_is_fast_enough_by_itself() -> None:
    sides = {"primary": durations(1e-4, PAIRS), "candidate": durations(4e-4, PAIRS)}
    found = verdict(at(CANARY_5, health={"durations": sides}), CANARY_5)
    assert found.decision is Decision.ADVANCE
    median = check(found, "latency_p50")
    assert median.outcome is Outcome.PASS
    assert "fast enough by itself (limit 5 ms)" in median.reason
    assert median.figure == pytest.approx(4, rel=0.06)


# --- what is missing is never a pass --------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (evidence(held=timedelta(days=3, hours=2)), "held for 3d 2h of 7d"),
        (
            evidence(pairs=9_000, window={"pairs": 9_000}),
            "9,000 pairs of 10,000: 1,000 more needed",
        ),
        (
            evidence(pairs=1, window={"pairs": 1}),
            "1 pair of 10,000: 9,999 more needed",
        ),
        (
            evidence(integrity={"found": 399_000}),
            "399,000 of 400,000 numbered pairs found (99.8 %, limit 99.9 %)",
        ),
        (
            evidence(integrity={"reused_numbers": 1}),
            "400,000 of 400,000 numbered pairs found (100 %, limit 99.9 %), but 1 pair with the "
            "number of another one of the same worker: two processes go by its name",
        ),
        (
            evidence(integrity={"expected": None}),
            "no pair carries a number, so it is not known whether some are missing",
        ),
        (
            evidence(window={"last": SINCE + timedelta(days=2)}),
            "no pairs for 12d, limit 1d 18h",
        ),
        (
            evidence(
                held=timedelta(days=8), window={"gaps": (Gap(SINCE, SINCE + timedelta(days=3)),)}
            ),
            "held for 5d of 7d, not counting 3d without pairs",
        ),
        (
            evidence(held=timedelta(days=1), window={"step_began_earlier": True}),
            f"held for 1d of 7d, since {SINCE:%Y-%m-%d %H:%M} UTC: before, a side had another "
            "model or threshold",
        ),
        (evidence(window={"flag": "other"}), "the pairs are of other at 0 %, the playbook's step"),
        (evidence(window={"rollout": 5}), "the pairs are of fraud-detector-v2 at 5 %, the playboo"),
        (
            evidence(integrity={"models": {"primary": {"v1": 5}, "candidate": {"v2": 3, "v3": 4}}}),
            "candidate is a mixture of v2 (3), v3 (4): evidence begins anew when only the latest "
            "is left",
        ),
        (
            evidence(integrity={"noise": Count(2, 1_000)}),
            "2 of 1,000 pairs of the same model twice differ, limit 0 %",
        ),
        (
            evidence(integrity={"batch_disagreement": Count(40, 1_000)}),
            "4 % of the shadows scored both in a batch and by themselves differ, limit 2 % (95 %",
        ),
        (
            evidence(integrity={"batch_disagreement": Count(0, 50)}),
            "0 % of the shadows scored both in a batch and by themselves differ, limit 2 %",
        ),
        (
            evidence(integrity={"batch_disagreement": Count(0, 0)}),
            "shadows were scored in batches, and none by itself too: see SHADOW_SINGLE",
        ),
        (
            evidence(integrity={"sampled": Sampled(Count(30, 100), 0.3, 0.4)}),
            "30 of 100 pairs under SHADOW_MAX_SHARE have both sides, at a mean share of 30 % of",
        ),
        (
            evidence(integrity={"candidate_active": Count(7, PAIRS)}),
            "candidate active for 0.00175 % of",
        ),
        (
            evidence(health={"shed": Count(20_000, PAIRS)}),
            "5 % of the pairs have a side that was shed, limit 1 % (95 % CI",
        ),
        (evidence(output(unscored=4_000)), "4,000 of 404,000 pairs lack a finite score, limit 0.1"),
        (
            evidence(output(unscored=4_000, unscored_by_side={"primary": 0, "candidate": 4_000})),
            "4,000 of 404,000 pairs lack a finite score (candidate 4,000), limit 0.1 %",
        ),
        (evidence(output(None)), "no threshold is known, so nothing shows what the scores lead to"),
        (
            evidence(output(thresholds={"primary": (0.5,), "candidate": (0.5, 0.93)})),
            "the candidate's threshold changed within the window: 0.5, 0.93",
        ),
        (evidence(output(Paired(0, 0, 0, PAIRS))), "no alarm on either side in 400,000 pairs"),
        (evidence(output(Paired(0, 0, 0, 1))), "no alarm on either side in 1 pair"),
        (evidence(output(Paired(20, 0, 0, PAIRS))), "alarm rate 1.00x primary's, limit 1.10x"),
        (replace(evidence(), outputs=()), "only health was judged: no output is compared"),
    ],
)
def test_what_is_missing_or_not_whole_holds(found: Evidence, reason: str) -> None:
    said = verdict(found)
    assert said.decision is Decision.HOLD
    assert any(each.startswith(reason) for each in said.reasons), said.reasons


def test_evidence_of_nothing_holds_at_every_step() -> None:
    nothing = Count(0, 0)
    for step in PLAYBOOK.steps:
        full = at(step)
        empty = replace(
            full,
            window=replace(full.window, pairs=0, comparable_pairs=0, first=None, last=None),
            outputs=(),
            integrity=Integrity(0, None, 0, 0, nothing, None, {}),
            health=Health({}, Paired(0, 0, 0, 0), nothing, nothing, nothing, nothing, {}, {}),
        )
        found = verdict(empty, step)
        assert found.decision is Decision.HOLD
        assert not any(each.outcome is Outcome.FAIL for each in found.checks)


def test_a_service_of_which_nothing_is_compared_leaves_the_shadow_by_declaration_alone() -> None:
    opaque = replace(evidence(), outputs=(), labels=None)
    held = verdict(opaque, playbook=PLAYBOOK.model_copy(update={"labels": "none"}))
    assert held.decision is Decision.HOLD
    plan = PLAYBOOK.model_copy(update={"labels": "none", "judged_by": "health"})
    found = verdict(opaque, playbook=plan)
    assert found.decision is Decision.ADVANCE
    assert "only health was judged" in found.reasons[0]
    late = verdict(
        replace(opaque, window=replace(opaque.window, comparable_pairs=1)), playbook=plan
    )
    assert late.decision is Decision.HOLD
    assert "only health was judged" in late.reasons[-1]


def test_broken_evidence_never_rolls_back() -> None:
    found = at(
        CANARY_10,
        integrity={"found": 10, "noise": Count(9, 9), "candidate_active": Count(0, PAIRS)},
        health={"shed": Count(PAIRS, PAIRS)},
    )
    assert verdict(found, CANARY_10).decision is Decision.HOLD


def test_the_served_share_is_held_against_the_rollout() -> None:
    fits = verdict(at(CANARY_10, integrity={"candidate_active": Count(40_150, PAIRS)}), CANARY_10)
    assert check(fits, "sample_ratio_p").outcome is Outcome.PASS
    found = verdict(at(CANARY_10, integrity={"candidate_active": Count(38_000, PAIRS)}), CANARY_10)
    assert found.decision is Decision.HOLD
    assert found.reasons[0].startswith(
        "candidate active for 9.5 % of 400,000 pairs, rollout 10 % (p 7.8e-23, limit 0.001): "
    )


# --- how many more --------------------------------------------------------------------------------


def test_the_number_of_pairs_that_are_still_needed_is_about_right() -> None:
    few = Paired(80, 20, 20, 19_880)
    reason = check(verdict(evidence(output(few), pairs=20_000)), "alarm_ratio")
    assert reason.outcome is Outcome.INCONCLUSIVE
    assert reason.more_needed is not None
    assert f": about {reason.more_needed:,} more pairs needed at the present rates" in reason.reason
    for factor, outcome in ((0.9, Outcome.INCONCLUSIVE), (1.1, Outcome.PASS)):
        more = (20_000 + factor * reason.more_needed) / 20_000
        counts = (round(more * each) for each in (few.both, 20, 20, few.neither))
        table = Paired(*counts)
        then = verdict(evidence(output(table), pairs=table.pairs))
        assert check(then, "alarm_ratio").outcome is outcome


def test_a_check_that_more_pairs_will_not_decide_says_so() -> None:
    alarms = check(verdict(evidence(output(Paired(90, 10, 30, 9_870)))), "alarm_ratio")
    assert alarms.more_needed is None
    assert alarms.reason.endswith("more pairs at these rates will not bring it within the limit")


@pytest.mark.parametrize(
    ("alarms", "ends"),
    [
        (Paired(1_900, 100, 299, 97_701), ": more pairs at these rates will hardly show it"),
        (Paired(104, 27, 60, 9_809), ": beyond the rollback limit 1.25x so far"),
    ],
    ids=["nearly within", "just beyond"],
)
def test_what_a_thousand_times_the_pairs_would_not_show_has_no_number(
    alarms: Paired, ends: str
) -> None:
    """A loss of 5.04 points needed 93 million more labels, 77 years, to be beyond a limit of 5."""
    found = check(verdict(evidence(output(alarms))), "alarm_ratio")
    assert found.more_needed is None
    assert found.reason.endswith(ends)


def test_a_failure_that_is_not_shown_yet_says_when_it_will_be() -> None:
    alarms = check(verdict(evidence(output(Paired(20, 5, 30, 4_945)))), "alarm_ratio")
    assert alarms.reason == (
        "alarm rate 2.00x primary's, limit 1.10x (95 % CI 1.21 to 3.92, n=5,000): surely beyond "
        "it, not yet beyond the rollback limit 1.25x, which about 3,400 more pairs would show"
    )
    assert alarms.more_needed is None
    far = check(verdict(evidence(output(Paired(8, 2, 8, 4_982)))), "alarm_ratio")
    assert ": beyond the rollback limit 1.25x so far, which about " in far.reason
    assert far.reason.endswith(" more pairs would show")
    assert far.more_needed is None


def test_an_interval_that_is_beyond_the_rollback_limit_says_at_which_level_it_is_not() -> None:
    """Going on is decided at 95 %, a rollback at a higher level."""
    alarms = check(verdict(evidence(output(Paired(100, 20, 90, 9_795)))), "alarm_ratio")
    assert alarms.low is not None
    assert alarms.low > 1.25
    assert alarms.outcome is Outcome.INCONCLUSIVE
    assert "surely beyond it, not yet beyond the rollback limit 1.25x at 99.4 %" in alarms.reason


def test_the_limit_that_is_said_is_the_one_that_is_open() -> None:
    """Pairs without a decision count for both bounds: a figure of 0.99 may be 1.4, not 0.9."""
    table, neither = Paired(1_980, 20, 0, 38_000), 37_300
    undecided = replace(
        output(table), lowest_alarms=table, highest_alarms=Paired(1_980, 20, 700, neither)
    )
    alarms = check(verdict(evidence(undecided, pairs=40_000)), "alarm_ratio")
    assert alarms.outcome is Outcome.INCONCLUSIVE
    assert "alarm rate 0.99x primary's, limit 1.10x" in alarms.reason
    few = check(verdict(evidence(output(Paired(80, 20, 19, 19_881)), pairs=20_000)), "alarm_ratio")
    assert "alarm rate 0.99x primary's, limit 0.91x" in few.reason  # both limits are open


def test_what_is_surely_beyond_its_limit_is_the_first_of_the_open_reasons() -> None:
    found = verdict(evidence(output(Paired(20, 5, 30, 4_945)), held=timedelta(hours=1)))
    assert found.decision is Decision.HOLD
    assert "surely beyond" in found.reasons[0]
    assert any("held for 1h" in each for each in found.reasons[1:])


def test_requests_that_were_repeated_are_said_to_be_the_reason() -> None:
    """One request of one alarm, sent a hundred times: pairs say 2x, request ids 1x."""
    once = Paired(95, 5, 6, 19_894)
    units = UnitAlarms(0, 0, None, once, once, (), 1.0)
    repeated = replace(output(Paired(95, 5, 106, 19_794)), by_unit=units)
    alarms = check(verdict(evidence(repeated, pairs=20_000)), "alarm_ratio")
    assert alarms.outcome is Outcome.INCONCLUSIVE
    assert "2.01x primary's" in alarms.reason
    assert "with each request id once 1.01x (95 % CI 0.89 to 1.15)" in alarms.reason


def test_alarms_in_each_pair_are_said_to_be_so() -> None:
    always = check(verdict(evidence(output(Paired(5_000, 0, 0, 0)))), "no_alarm_ratio")
    assert always.outcome is Outcome.INCONCLUSIVE
    assert always.reason == "each of 5,000 pairs is an alarm of both"


def test_a_candidate_that_is_never_called_has_its_shadow_flag_named() -> None:
    skipped = {
        "statuses": {"primary": {"ok": 5_000}, "candidate": {"skipped": 5_000}},
        "failures": Paired(0, 0, 0, 0),
        "durations": {"primary": durations(0.02, 5_000), "candidate": durations(0.02, 0)},
        "warm_up": 300,
    }
    found = verdict(evidence(health=skipped, pairs=5_000))
    assert check(found, "failure_rate").reason == (
        "no pair called both sides: the candidate was skipped in all 5,000: is the flag "
        "fraud-detector-v2.shadow off?"
    )
    assert "warm-up" not in check(found, "latency_p50").reason


# --- segments -------------------------------------------------------------------------------------


def segment(value: str | None, alarms: Paired, name: str = "channel") -> SegmentAlarms:
    return SegmentAlarms(name, value, alarms)


GOOD, BAD = Paired(300, 20, 20, 9_000), Paired(100, 20, 300, 9_000)


def test_a_segment_rolls_back_by_itself() -> None:
    found = verdict(
        at(CANARY_5, outputs=[output(segments=[segment("web", BAD), segment("app", GOOD)])]),
        CANARY_5,
    )
    assert found.decision is Decision.ROLLBACK
    (reason,) = found.reasons
    assert reason.startswith("channel=web: alarm rate 3.33x primary's, rollback limit 2.00x (99.9")


def test_a_segment_with_few_alarms_need_not_pass_but_may_fail() -> None:
    small = segment(None, Paired(3, 1, 2, 100))
    found = verdict(evidence(output(segments=[small])))
    assert found.decision is Decision.ADVANCE
    one = check(found, "segment_alarm_ratio", segment="channel=(none)")
    assert (one.outcome, one.required) == (Outcome.INCONCLUSIVE, False)
    extreme = segment("web", Paired(1, 0, 60, 100))
    said = verdict(at(CANARY_5, outputs=[output(segments=[extreme])]), CANARY_5)
    assert said.decision is Decision.ROLLBACK


def test_only_the_segments_of_the_playbook_are_checked() -> None:
    playbook = Playbook.model_validate({"flag": FLAG, "segments": {"country": None}})
    found = evidence(output(segments=[segment("web", BAD), segment("DE", GOOD, "country")]))
    checked = verdict(found, playbook=playbook).checks
    assert {each.segment for each in checked if each.segment} == {"country=DE"}


@given(seen=st.integers(0, 10**6))
def test_the_segments_spend_their_share_at_most(seen: int) -> None:
    """In the epoch of up to 10^k segments, all together spend half of the epoch before."""
    epoch = max(1, math.ceil(math.log10(max(seen, 1)) - 1e-9))
    one = segment_share(0.05, seen)
    assert one * 10**epoch == pytest.approx(0.05 * SHARES["segment_alarm_ratio"] / 2**epoch)


MOSTLY = Paired(300_000, 100, 100, 99_800)
TAILS = (Tail(0.9, 12.5, Paired(39_000, 1_000, 1_000, PAIRS - 41_000)),)
ONE_SIDED = labelling(
    coverage={"primary": Count(10, 1_000), "candidate": Count(600, 1_000)}, coverage_p=1e-9
)
YOUNG = labelling(young=True)


def test_the_how_to_says_what_to_do_about_each_check() -> None:
    judged = output(
        segments=[replace(segment("web", GOOD), caught=Paired(80, 10, 10, 10))],
        uncompared=Count(0, PAIRS),
        quality=quality(),
        labelling=replace(ONE_SIDED, young=YOUNG.young),
    )
    checked = {
        each.name
        for step in PLAYBOOK.steps
        for outputs in (
            (judged,),
            (output(MOSTLY, tails=TAILS),),
            (output(None, tails=TAILS),),
            (output(),),
            (),
        )
        for each in verdict(
            replace(
                at(
                    step,
                    integrity={
                        "noise": Count(0, 10),
                        "batch_disagreement": Count(0, 0),
                        "sampled": Sampled(Count(5, 10), 0.5, 0.0),
                        "unclosed_records": (),
                        "thresholds_since": SINCE,
                    },
                ),
                outputs=outputs,
                labels=GivenLabels(9, 0),
            ),
            step.model_copy(update={"min_labels": 1_000}),
        ).checks
    }
    table = rows(section(DOCS / "how-to" / "gate.md", "What to do about a check"))
    named = re.findall(r"`([a-z0-9_]+)`(?: \(([^)]*)\))?", " ".join(row[0] for row in table))
    assert {(name, title or None) for name, title in named} == {
        (name, row.title) for name, row in CHECKS.items()
    }
    assert checked <= set(CHECKS)
    assert len(checked) > 30


def test_the_shares_sum_to_the_error_rate() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert 3 * error_share(0.05, "alarm_ratio", 3) == pytest.approx(0.05 * SHARES["alarm_ratio"])


def test_with_several_outputs_the_reason_names_the_one() -> None:
    outputs = [output(TWICE, name="fraud"), output(TWICE, name="abuse")]
    found = verdict(at(CANARY_5, outputs=outputs, pairs=20_000), CANARY_5)
    assert [each.split(":")[0] for each in found.reasons] == ["fraud", "abuse"]


# --- labels ---------------------------------------------------------------------------------------

WITH_LABELS = RAMP_50.model_copy(update={"min_labels": 1_000})


def test_where_labels_are_demanded_quality_must_pass() -> None:
    found = verdict(at(RAMP_50), WITH_LABELS)
    assert found.decision is Decision.ADVANCE
    assert any(each.startswith("recall +6 points against the primary's") for each in found.reasons)
    without = verdict(at(RAMP_50, outputs=[output()]), WITH_LABELS)
    assert without.decision is Decision.HOLD
    assert without.reasons == (
        "no labels were given, and 100 positives are wanted before this step is left; "
        "if there will never be any, say so in the playbook (labels: none)",
    )


def test_lost_recall_rolls_back_whether_labels_are_demanded_or_not() -> None:
    lost = quality(Paired(500, 300, 80, 100))
    for step in (RAMP_50, WITH_LABELS):
        found = verdict(at(RAMP_50, outputs=[output(quality=lost)]), step)
        assert found.decision is Decision.ROLLBACK
        assert found.reasons[0].startswith(
            "recall -22.4 points against the primary's, rollback limit -10 points (99.5 % CI"
        )


def test_lost_average_precision_only_holds() -> None:
    lost = quality(average_precision_difference=Interval(-0.2, -0.22, -0.18))
    found = verdict(at(RAMP_50, outputs=[output(quality=lost)]), WITH_LABELS)
    assert found.decision is Decision.HOLD
    assert found.reasons[0].startswith("average precision -0.200 against the primary's, limit -0.0")


def test_labels_that_name_none_of_several_outputs_hold() -> None:
    outputs = [output(name=name) for name in ("cat", "dog")]
    given = GivenLabels(12_000, 0)
    found = verdict(replace(at(CANARY_5, outputs=outputs), labels=given), CANARY_5)
    assert found.decision is Decision.HOLD
    assert found.reasons == (
        "no label is used: the column label does not say which of the outputs cat, dog it is "
        "about; name it label.cat, for example",
    )
    of_cat = [output(name="cat", **labelled()), outputs[1]]
    found = verdict(replace(at(CANARY_5, outputs=of_cat), labels=given), CANARY_5)
    assert found.decision is Decision.ADVANCE


def test_labels_that_depend_on_the_answer_hold() -> None:
    one_sided = output(quality=quality(), labelling=ONE_SIDED)
    found = verdict(at(RAMP_50, outputs=[one_sided]), WITH_LABELS)
    assert found.decision is Decision.HOLD
    assert found.reasons == (
        "labels have come for 60 % of what the candidate served and 1 % of what the primary "
        "served: the smaller share is 98.3 % below the other, limit 10 %",
    )


# --- deprecation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "decision"),
    [
        ({}, Decision.ADVANCE),
        ({"primary_served": Count(1, PAIRS)}, Decision.HOLD),
        ({"fallbacks": Count(1, PAIRS)}, Decision.HOLD),
        ({"primary_served": Count(0, 0)}, Decision.HOLD),
        (
            {"failures": Paired(0, 0, 0, 0), "durations": {"candidate": durations(0.02, 1_000)}},
            Decision.ADVANCE,
        ),
    ],
)
def test_the_primary_is_given_up_once_it_has_answered_nothing(
    health: dict[str, Any], decision: Decision
) -> None:
    """The primary may be unscored: comparisons may fail, but need not pass."""
    assert verdict(at(DEPRECATION, health=health), DEPRECATION).decision is decision


def test_a_bad_candidate_is_still_rolled_back_in_the_deprecation() -> None:
    found = verdict(at(DEPRECATION, outputs=[output(TWICE)], pairs=20_000), DEPRECATION)
    assert found.decision is Decision.ROLLBACK


# --- in general -----------------------------------------------------------------------------------

counts = st.integers(0, 3_000)
paired = st.builds(Paired, counts, counts, counts, counts)


@settings(deadline=None, max_examples=40)
@given(alarms=paired, failures=paired, step=st.sampled_from(PLAYBOOK.steps), whole=st.booleans())
def test_the_verdict_follows_from_the_checks(
    alarms: Paired, failures: Paired, step: Step, whole: bool
) -> None:
    changes = {} if whole else {"found": 0}
    found = verdict(
        at(step, outputs=[output(alarms)], health={"failures": failures}, integrity=changes), step
    )
    failed = [each for each in found.checks if each.outcome is Outcome.FAIL]
    grave = [each for each in failed if each.rolls_back]
    undecided = [
        each for each in found.checks if each.required and each.outcome is Outcome.INCONCLUSIVE
    ]
    if grave and step.rollout:
        assert found.decision is Decision.ROLLBACK
    elif failed or undecided:
        assert found.decision is Decision.HOLD
    else:
        assert found.decision is Decision.ADVANCE
    assert found.reasons
    assert all(each.reason for each in found.checks)
    for each in found.checks:
        if each.low is not None and each.high is not None and each.figure is not None:
            assert each.low <= each.figure <= each.high


@settings(deadline=None, max_examples=40)
@given(
    table=paired,
    limits=st.sampled_from([(1.1, 1.25), (1.5, 1.5), (3.0, 10.0)]),
)
def test_a_check_is_what_its_interval_says(table: Paired, limits: tuple[float, float]) -> None:
    advance, fail = limits
    one = LimitCheck(
        "alarm_ratio",
        RatioSequence(table),
        Wording("{figure}", times),
        table.pairs,
        table.pairs,
        high=Bounds(advance, fail),
        low=Bounds(1 / advance, 1 / fail),
    ).answer(0.05, 0.01)
    if one.low is None or one.high is None:
        assert one.outcome is Outcome.INCONCLUSIVE
        return
    slack = 1 + 1e-3
    said: dict[Outcome, Callable[[float, float], bool]] = {
        Outcome.PASS: lambda low, high: low * slack >= 1 / advance and high <= advance * slack,
        Outcome.FAIL: lambda low, high: low * slack >= fail or high <= slack / fail,
        Outcome.INCONCLUSIVE: lambda low, high: (
            low <= 1 / advance * slack or high * slack >= advance
        ),
    }
    assert said[one.outcome](one.low, one.high)


def test_no_projection_is_made_for_segments_that_need_not_pass() -> None:
    """With hundreds of small segments, projections would take most of the time."""
    many = [segment(f"s{index}", Paired(3, 1, 2, 100)) for index in range(300)]
    found = verdict(evidence(output(segments=many)))
    assert sum(each.name == "segment_alarm_ratio" for each in found.checks) == 300
    assert all(each.more_needed is None for each in found.checks if each.segment)


# --- units, agreement, distribution -----------------------------------------------------------


def with_hours(counts: UnitAlarms) -> UnitAlarms:
    return replace(counts, periods=periods(counts.alarms))


def units(alarms: Paired, **changes: Any) -> UnitAlarms:
    usual = {
        "units": 5_000,
        "requests": 400_000,
        "block_seconds": None,
        "once": alarms,
        "segments": (),
    }
    return UnitAlarms(**{**usual, "alarms": alarms, "design_effect": 1.0, **changes})


BURST = Paired(1_600, 100, 2_000, 396_300)


def unnamed(design_effect: float) -> UnitAlarms:
    """Return the alarms by request, since no pair names a unit."""
    return units(
        BURST,
        units=0,
        requests=0,
        design_effect=design_effect,
        hourly_design_effect=design_effect,
        periods=periods(BURST),
    )


@pytest.mark.parametrize(
    ("by_unit", "decision"),
    [
        (units(Paired(80, 5, 25, 5_000)), Decision.HOLD),
        (units(Paired(80, 5, 500, 5_000)), Decision.ROLLBACK),
        (
            units(Paired(80, 5, 500, 5_000), once=Paired(8, 1, 9, 12), design_effect=9.0),
            Decision.HOLD,
        ),
        (unnamed(1.0), Decision.ROLLBACK),
        (unnamed(20.0), Decision.HOLD),
    ],
    ids=[
        "bursts of few units",
        "many units",
        "the same units day after day",
        "no unit is named",
        "no unit is named, and flips come in bursts",
    ],
)
def test_what_bursts_show_by_request_rolls_back_by_units_alone(
    by_unit: UnitAlarms, decision: Decision
) -> None:
    found = verdict(at(CANARY_1, outputs=(output(BURST, by_unit=by_unit),)), CANARY_1)
    assert found.decision is decision


def test_bursts_without_a_unit_say_that_one_is_missing() -> None:
    found = verdict(at(CANARY_1, outputs=(output(BURST, by_unit=unnamed(20.0)),)), CANARY_1)
    [ratio] = [each for each in found.checks if each.name == "alarm_ratio"]
    assert ratio.outcome is Outcome.INCONCLUSIVE
    assert "bursts of alike requests (design effect 20.0) and no pair names a unit" in ratio.reason
    assert "migrate(unit=...)" in ratio.reason
    assert "units=0" not in ratio.reason


def test_alarms_of_bursts_without_a_unit_count_less_to_go_on() -> None:
    """No flip is in a burst, but four bursts of a hundred are alarms of both sides."""
    same = Paired(400, 1, 1, 40_000)
    decided = []
    for effect in (1.0, 50.0):
        alike = units(same, units=0, requests=0, design_effect=effect, periods=periods(same))
        found = verdict(at(CANARY_1, outputs=(output(same, by_unit=alike),)), CANARY_1)
        decided.append([check for check in found.checks if check.name == "alarm_ratio"])
    [[alone], [bursts]] = decided
    assert (alone.outcome, bursts.outcome) == (Outcome.PASS, Outcome.INCONCLUSIVE)


def in_hours(hours: int, alarms: Paired, quiet: Paired) -> tuple[Period, ...]:
    """Return two weeks by hour: `alarms` in some `hours` apart from each other, else `quiet`."""
    return tuple(
        replace(each, alarms=quiet if place % (336 // hours) else alarms)
        for place, each in enumerate(periods(Paired(0, 0, 0, 336)))
    )


@pytest.mark.parametrize(
    ("hours", "outcome"),
    [
        (in_hours(4, Paired(500, 0, 0, 0), Paired(0, 0, 0, 120)), Outcome.INCONCLUSIVE),
        (in_hours(4, Paired(500, 0, 0, 9_500), Paired(0, 0, 0, 0)), Outcome.PASS),
        (in_hours(168, Paired(12, 0, 0, 100), Paired(12, 0, 0, 130)), Outcome.PASS),
    ],
    ids=["four long bursts of alarms", "four hours of traffic", "alarms throughout"],
)
def test_alarms_of_bursts_that_last_are_not_many_without_a_unit(
    hours: tuple[Period, ...], outcome: Outcome
) -> None:
    """All of their minutes are alike, so that only longer periods show them."""
    alarms = total(each.alarms for each in hours)
    alike = units(alarms, units=0, requests=0, periods=hours)
    shown = output(alarms, by_unit=alike, periods=hours)
    found = verdict(at(CANARY_1, outputs=(shown,)), CANARY_1)
    ratio = check(found, "alarm_ratio")
    assert ratio.outcome is outcome
    assert ("that are not of the same bursts, 50 wanted" in ratio.reason) is (
        outcome is Outcome.INCONCLUSIVE
    )


@pytest.mark.parametrize(("left", "outcome"), [(150, Outcome.FAIL), (20, Outcome.INCONCLUSIVE)])
def test_a_segment_fails_only_without_the_flips_that_bursts_explain(
    left: int, outcome: Outcome
) -> None:
    app = SegmentAlarms("channel", "app", Paired(20, 5, 130, 5_000))
    every = Paired(8_000, 100, 150, 400_000)
    by_request = units(every, units=0, requests=0, once=replace(every, candidate_only=left))
    shown = output(every, [app], by_unit=with_hours(by_request))
    found = verdict(at(CANARY_1, outputs=(shown,)), CANARY_1)
    [segment] = [each for each in found.checks if each.name == "segment_alarm_ratio"]
    assert segment.outcome is outcome


def test_bursts_without_a_unit_hold_recall_and_do_not_roll_back() -> None:
    lost = quality(Paired(500, 300, 20, 100))
    shown = output(quality=lost, by_unit=unnamed(20.0))
    found = verdict(at(CANARY_1, outputs=(shown,)), CANARY_1)
    [recall] = [each for each in found.checks if each.name == "recall_loss"]
    assert (found.decision, recall.outcome) == (Decision.HOLD, Outcome.FAIL)
    assert "of requests that come in bursts and name no unit" in recall.reason
    alone = verdict(at(CANARY_1, outputs=(replace(shown, by_unit=unnamed(1.0)),)), CANARY_1)
    assert alone.decision is Decision.ROLLBACK


def by_unit(failed: Count) -> UnitHealth:
    """Return health by unit: all of a unit's candidate requests failed, or none."""
    shares = (UnitShare(0.0, failed.total - failed.count), UnitShare(1.0, failed.count))
    return UnitHealth(failed.total, shares, (UnitShare(0.0, 500),))


@pytest.mark.parametrize(
    ("failed", "decision"),
    [(Count(3, 150), Decision.HOLD), (Count(600, 10_000), Decision.ROLLBACK)],
    ids=["of few units", "of many units"],
)
def test_failures_that_come_in_bursts_roll_back_by_units_alone(
    failed: Count, decision: Decision
) -> None:
    """By request, 6 % fail either way."""
    health = {"failures": Paired(0, 0, 24_000, PAIRS - 24_000), "by_unit": by_unit(failed)}
    found = verdict(at(CANARY_5, health=health), CANARY_5)
    assert found.decision is decision
    if decision is Decision.HOLD:
        reason = check(found, "failure_rate").reason
        assert "by unit +2 points (" in reason


def test_what_few_units_do_not_show_is_not_shown_by_more_of_their_requests() -> None:
    """Five tenants that send more requests are five tenants."""
    found = verdict(at(CANARY_5, health={"by_unit": by_unit(Count(0, 5))}), CANARY_5)
    failures = check(found, "failure_rate")
    assert (failures.outcome, failures.more_needed) == (Outcome.INCONCLUSIVE, None)
    assert failures.reason.endswith(
        "units=5): about 2,800 more units needed, and not more requests of the same"
    )
    many = verdict(at(CANARY_5, health={"by_unit": by_unit(Count(0, 2_800))}), CANARY_5)
    assert check(many, "failure_rate").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("warm_up", "why"), [(300, "; the first 300 requests of a worker are its warm-up"), (0, "")]
)
def test_calls_of_the_warm_up_are_named_where_no_others_are_there(warm_up: int, why: str) -> None:
    health = {"durations": {}, "warm_up": warm_up}
    found = check(verdict(at(SHADOW, health=health), SHADOW), "latency_p50")
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.reason == f"latency p50: no call of both sides counts yet{why}"


@pytest.mark.parametrize(("calls", "is_named"), [(150, True), (600, False)])
def test_the_warm_up_is_named_where_fewer_calls_are_left_than_it_takes(
    calls: int, is_named: bool
) -> None:
    sides = dict.fromkeys(("primary", "candidate"), durations(0.02, calls))
    found = verdict(at(SHADOW, health={"durations": sides, "warm_up": 300}), SHADOW)
    latency = check(found, "latency_p99")
    assert latency.outcome is Outcome.INCONCLUSIVE
    assert ("the first 300 requests of a worker are its warm-up" in latency.reason) == is_named


def test_a_ratio_that_few_units_show_does_not_advance() -> None:
    found = verdict(evidence(output(by_unit=units(Paired(4, 1, 1, 20), units=12))))
    alarms = check(found, "alarm_ratio")
    assert (found.decision, alarms.outcome) == (Decision.HOLD, Outcome.INCONCLUSIVE)
    assert "12 units show nothing about others" in alarms.reason


REPLACED = Paired(0, 2_000, 2_000, PAIRS - 4_000)


def test_alarms_of_other_requests_hold_until_labels_show_recall() -> None:
    without = check(verdict(evidence(output(REPLACED))), "alarm_overlap")
    shown = quality(caught=Paired(1_800, 0, 60, 140))
    agreed = check(verdict(evidence(output(REPLACED, quality=shown))), "alarm_overlap")
    assert (without.outcome, agreed.outcome) == (Outcome.FAIL, Outcome.INCONCLUSIVE)
    assert not agreed.required


def test_replaced_alarms_never_roll_back() -> None:
    found = verdict(at(CANARY_1, outputs=(output(REPLACED),)), CANARY_1)
    assert found.decision is Decision.HOLD


def test_declines_that_double_are_rolled_back_though_approvals_hardly_change() -> None:
    approvals = Paired(360_000, 20_000, 0, 20_000)
    found = verdict(at(CANARY_1, outputs=(output(approvals),)), CANARY_1)
    assert check(found, "alarm_ratio").outcome is Outcome.PASS
    assert check(found, "no_alarm_ratio").figure == pytest.approx(2)
    assert found.decision is Decision.ROLLBACK


@pytest.mark.parametrize(
    ("declines", "decision"),
    [(Paired(20, 2, 14, 0), Decision.HOLD), (Paired(900, 50, 950, 0), Decision.ROLLBACK)],
    ids=["of few units", "of many units"],
)
def test_declines_that_come_in_bursts_roll_back_by_units_alone(
    declines: Paired, decision: Decision
) -> None:
    """By request, they double either way."""
    approvals = Paired(360_000, 20_000, 0, 20_000)
    found = output(approvals, no_alarms_by_unit=with_hours(units(declines)))
    assert verdict(at(CANARY_1, outputs=(found,)), CANARY_1).decision is decision


def test_what_a_side_did_not_decide_counts_for_both_bounds() -> None:
    """The candidate does not answer where 30 % of the alarms are."""
    known = Paired(1_400, 0, 0, 398_000)
    at_least = Paired(1_400, 600, 0, 398_000)
    at_most = Paired(2_000, 0, 0, 398_000)
    left_out = Count(600, 400_000)
    found = verdict(
        evidence(output(known, lowest_alarms=at_least, highest_alarms=at_most, uncompared=left_out))
    )
    assert check(found, "alarm_ratio").outcome is Outcome.INCONCLUSIVE
    assert found.decision is Decision.HOLD


def test_pairs_without_a_threshold_beyond_the_limit_hold() -> None:
    found = verdict(evidence(output(uncompared=Count(9 * PAIRS, 10 * PAIRS))))
    assert check(found, "uncompared").outcome is Outcome.FAIL
    assert found.decision is Decision.HOLD


@pytest.mark.parametrize(
    ("beyond", "decision"),
    [
        (Paired(39_000, 1_000, 1_000, PAIRS - 41_000), Decision.ADVANCE),
        (Paired(4_000, 36_000, 36_000, PAIRS - 76_000), Decision.HOLD),
        (Paired(40_000, 0, 20_000, PAIRS - 60_000), Decision.HOLD),
    ],
    ids=["alike", "of other requests", "more often"],
)
def test_numbers_without_a_threshold_are_judged_by_their_distribution(
    beyond: Paired, decision: Decision
) -> None:
    found = verdict(evidence(output(None, tails=(Tail(0.9, 12.5, beyond),))))
    assert found.decision is decision


def test_the_sample_ratio_counts_what_the_flag_draws() -> None:
    counts = {"candidate_units": Count(103, 10_000), "candidate_active": Count(60_000, PAIRS)}
    drawn = verdict(at(CANARY_1, integrity=counts), CANARY_1)
    assert check(drawn, "sample_ratio_p").outcome is Outcome.PASS


@pytest.mark.parametrize(("aside", "decision"), [(1_000, Decision.ADVANCE), (PAIRS, Decision.HOLD)])
def test_pairs_whose_time_cannot_be_hold_if_they_are_many(aside: int, decision: Decision) -> None:
    """The candidate may fail on the machine whose clock is wrong, and nowhere else."""
    found = verdict(evidence(window={"impossible_times": aside}))
    assert found.decision is decision
    if decision is Decision.HOLD:
        [reason] = found.reasons
        assert reason.startswith(
            f"{aside:,} of {2 * aside:,} pairs count nowhere, since their time"
        )


@pytest.mark.parametrize(
    ("without", "decision"), [(PAIRS // 100, Decision.ADVANCE), (PAIRS // 2, Decision.HOLD)]
)
def test_requests_whose_flag_fails_hold(without: int, decision: Decision) -> None:
    """No rollout changes who answers them, nor would a rollback."""
    found = verdict(
        evidence(window={"pairs_of_other_rollouts": without, "pairs_without_rollout": without})
    )
    assert found.decision is decision
    if decision is Decision.HOLD:
        [reason] = found.reasons
        assert reason.startswith(f"{without:,} of {PAIRS + without:,} pairs of the step's time say")


def test_pairs_that_are_not_compared_are_told_by_what_happened_to_them() -> None:
    lost = PAIRS // 20
    statuses = {"primary": {"ok": PAIRS}, "candidate": {"ok": PAIRS - lost, "timeout": lost}}
    left_out = Count(lost, PAIRS)
    found = verdict(evidence(output(uncompared=left_out), health={"statuses": statuses}))
    assert any("lack a decision of a side (candidate timeout 20,000)" in r for r in found.reasons)
    found = verdict(evidence(output(uncompared=left_out)))
    assert any("(there is no score, or no threshold)" in each for each in found.reasons)


def test_a_side_whose_threshold_is_unknown_is_named_beside_its_failures() -> None:
    """The three timeouts are not why nearly all pairs are left out."""
    lost = PAIRS // 20
    statuses = {"primary": {"ok": PAIRS}, "candidate": {"ok": PAIRS - 3, "timeout": 3}}
    score = output(
        uncompared=Count(lost, PAIRS), undecided_by_side={"primary": 0, "candidate": lost}
    )
    found = verdict(evidence(score, health={"statuses": statuses}))
    said = "(candidate timeout 3, candidate without a score or a threshold 19,997)"
    assert any(said in each for each in found.reasons)


@pytest.mark.parametrize(
    ("failed", "decision"), [(0, Decision.HOLD), (100, Decision.HOLD), (1_200, Decision.ROLLBACK)]
)
@pytest.mark.parametrize("share", [0.03, 0.08], ids=["after a day", "at once"])
def test_failures_of_shadows_alone_hold_and_do_not_roll_back(
    share: float, failed: int, decision: Decision
) -> None:
    """The flag draws who answers: where the candidate answers, the same failures are expected."""
    answers = PAIRS // 10
    lost = round(share * PAIRS)
    found = verdict(
        at(
            CANARY_10,
            health={
                "failures": Paired(0, 0, lost, PAIRS - lost),
                "active_failures": Count(failed, answers),
            },
        ),
        CANARY_10,
    )
    assert found.decision is decision
    if decision is Decision.HOLD:
        reason = check(found, "failure_rate").reason
        assert f"where it was to answer, {failed:,} of 40,000 calls failed" in reason


def test_failures_of_one_user_s_answers_are_no_proof_that_only_shadows_fail() -> None:
    """By request hardly any answer failed; by unit, too few users had one to know."""
    counts = {
        "failures": Paired(0, 0, 12_000, PAIRS - 12_000),
        "active_failures": Count(10, 40_000),
        "by_unit": UnitHealth(
            PAIRS,
            (UnitShare(0.0, PAIRS - 12_000), UnitShare(1.0, 12_000)),
            (UnitShare(0.0, 9), UnitShare(1.0, 1)),
        ),
    }
    assert verdict(at(CANARY_10, health=counts), CANARY_10).decision is Decision.ROLLBACK


@pytest.mark.parametrize("alarms", [20_000, 380_000], ids=["few alarms", "mostly alarms"])
def test_a_ratio_that_missing_decisions_keep_open_says_so(alarms: int) -> None:
    """More pairs would not show it: so the reason names what would."""
    lost, quiet = 3_000, PAIRS - 3_000 - alarms
    known = Paired(alarms, 0, 0, quiet)
    least, most = Paired(alarms, lost, 0, quiet), Paired(alarms, 0, lost, quiet)
    score = output(known, lowest_alarms=least, highest_alarms=most, uncompared=Count(lost, PAIRS))
    name = "alarm_ratio" if alarms < PAIRS / 2 else "no_alarm_ratio"
    open_ = check(verdict(evidence(score)), name)
    assert open_.outcome is Outcome.INCONCLUSIVE
    assert "each bound counts the worst case of 3,000 pairs without a decision" in open_.reason
    few = output(known, uncompared=Count(0, PAIRS))
    assert "worst case" not in check(verdict(evidence(few)), name).reason
