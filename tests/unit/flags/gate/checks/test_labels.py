"""Labels that are there decide as far as they may, and the verdict says why no further."""

from dataclasses import replace
from typing import Any

import pytest

from flags.gate import decide
from flags.gate.evidence import (
    Count,
    Evidence,
    GivenLabels,
    Interval,
    Labelling,
    Paired,
    SegmentAlarms,
    UnitRecall,
    UnitShare,
)
from flags.gate.number_format import plural
from flags.gate.selection import Selection, selection
from flags.gate.verdict import Check, Decision, Outcome, Verdict
from flags.playbook.model import Playbook, Step
from tests.support.evidence import (
    ALARMS,
    FLAG,
    evidence,
    labelled,
    labelling,
    output,
    quality,
)

PLAYBOOK = Playbook(flag=FLAG)
SHADOW, CANARY_1, CANARY_5, CANARY_10, RAMP_50, RAMP_100, DEPRECATION = PLAYBOOK.steps
LOST = Paired(500, 300, 80, 100)
ONLY_FLAGGED = (1.0, 1.0, 1.0, 0.0)


def at(step: Step, **changes: Any) -> Evidence:
    return evidence(output(**{**labelled(), **changes}), rollout=step.rollout)


def verdict(found: Evidence, step: Step, playbook: Playbook = PLAYBOOK) -> Verdict:
    return decide(found, playbook, step)


def check(found: Verdict, name: str) -> Check:
    [one] = [each for each in found.checks if each.name == name]
    return one


# --- which steps demand labels --------------------------------------------------------------------


@pytest.mark.parametrize("step", PLAYBOOK.steps, ids=lambda step: step.name)
def test_nothing_reaches_half_of_the_requests_without_labels(step: Step) -> None:
    found = verdict(at(step, quality=None, labelling=None), step)
    wanted = step in (CANARY_10, RAMP_50, RAMP_100)
    assert found.decision is (Decision.HOLD if wanted else Decision.ADVANCE)
    never = Playbook(flag=FLAG, labels="none")
    found = verdict(at(step, quality=None, labelling=None), step, never)
    assert found.decision is Decision.ADVANCE
    assert any("there will never be labels (labels: none)" in each for each in found.reasons)


def test_where_there_will_never_be_labels_those_that_are_given_decide_nothing() -> None:
    never = Playbook(flag=FLAG, labels="none")
    lost = labelled(LOST, served="candidate")
    found = replace(at(RAMP_50, **lost), labels=GivenLabels(980, 0))
    judged = verdict(found, RAMP_50, never)
    assert judged.decision is Decision.ADVANCE
    assert any("the 980 labels that were given decide nothing" in each for each in judged.reasons)
    assert verdict(found, RAMP_50).decision is Decision.ROLLBACK


@pytest.mark.parametrize(("own", "decision"), [(0, Decision.ADVANCE), (1, Decision.HOLD)])
def test_a_step_may_demand_labels_or_not(own: int, decision: Decision) -> None:
    for step in (SHADOW, CANARY_10):
        changed = step.model_copy(update={"min_labels": own})
        assert verdict(at(step, quality=None, labelling=None), changed).decision is decision


# --- positives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [SHADOW, CANARY_10])
@pytest.mark.parametrize("positives", [1, 5, 99])
def test_few_positives_pass_nothing(positives: int, step: Step) -> None:
    """Of 1 to 5 positives, on top for both sides, the average precisions are alike by chance."""
    few = Paired(positives, 0, 0, 0)
    of = replace(
        quality(few), average_precision_difference=Interval(0.0, 0.0, 0.0), standard_error=0.0
    )
    found = verdict(at(step, quality=of, labelling=labelling(caught=few)), step)
    for name in ("recall_loss", "average_precision_loss"):
        one = check(found, name)
        assert one.outcome is Outcome.INCONCLUSIVE
        assert f"only {plural(positives, 'positive')}, 100 wanted" in one.reason
    if step is SHADOW:
        assert found.decision is Decision.ADVANCE
    else:
        assert found.decision is Decision.HOLD
        said = check(found, "labels").reason
        assert said.startswith(
            f"{plural(positives, 'positive')} of 100: {100 - positives} more needed"
        )


def test_what_surely_is_too_bad_holds_where_labels_are_not_demanded() -> None:
    between = Paired(5_000, 800, 100, 4_100)
    alarms = Paired(9_000, 1_000, 1_000, 389_000)
    found = verdict(at(SHADOW, **labelled(between, alarms)), SHADOW)
    assert found.decision is Decision.HOLD
    assert found.reasons[0].startswith("recall -7 points against the primary's, limit -5 points")


# --- selected labels ------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [SHADOW, CANARY_1, CANARY_5, RAMP_50, RAMP_100])
@pytest.mark.parametrize("caught", [LOST, Paired(500, 100, 100, 0), Paired(500, 80, 100, 0)])
@pytest.mark.parametrize("shares", [ONLY_FLAGGED, (1.0, 1.0, 0.01, 0.0), (1.0, 0.01, 1.0, 0.0)])
def test_labels_of_what_was_flagged_neither_advance_nor_roll_back(
    step: Step, caught: Paired, shares: tuple[float, float, float, float]
) -> None:
    """A feedback loop: only what was flagged is looked at, so recall favours who flagged."""
    alarms = Paired(1_900, 1_000, 1_000, 396_100)
    found = verdict(at(step, **labelled(caught, alarms, shares=shares)), step)
    assert found.decision is Decision.HOLD
    assert any("labels exist only for what was flagged" in each for each in found.reasons)
    assert "no alarm 0 of 396,100" in check(found, "recall_loss").reason


def test_labels_that_alarms_lack_are_not_said_to_be_of_what_was_flagged() -> None:
    """An answered alarm stops the request, which then has no label."""
    alarms = Paired(1_900, 1_000, 1_000, 396_100)
    found = verdict(at(CANARY_10, **labelled(LOST, alarms, shares=(0.0, 0.1, 0.9, 1.0))), CANARY_10)
    assert found.decision is Decision.HOLD
    reason = check(found, "recall_loss").reason
    assert reason.startswith("no pair with both sides' alarms has a label")
    assert "both sides' alarms 0 of 1,900" in reason


def test_young_labels_show_that_answered_alarms_prevent_positives() -> None:
    """The labels that count are of the shadow, where only the primary answered."""
    alarms = Paired(1_900, 1_000, 1_000, 396_100)
    shadow = labelling(alarms, Paired(600, 250, 300, 1_700), served="primary")
    half = labelling(alarms, Paired(30, 12, 150, 85), served="primary").old
    other = labelling(alarms, Paired(30, 125, 15, 85), served="candidate").old
    for young, outcome in (((), Outcome.PASS), ((*half, *other), Outcome.INCONCLUSIVE)):
        known = replace(shadow, young=young)
        score = output(quality=quality(Paired(600, 250, 300, 1_700)), labelling=known)
        found = verdict(evidence(score, rollout=50), RAMP_50)
        recall = check(found, "recall_loss")
        assert recall.outcome is outcome, recall.reason
    assert "does an answered alarm prevent what would be positive" in recall.reason


def test_a_random_sample_beside_what_was_flagged_is_weighted() -> None:
    """Half of the pairs without alarms, and all with some, show recall, but roll nothing back."""
    caught = Paired(8_000, 200, 200, 1_600)
    alarms = Paired(9_000, 1_000, 1_000, 400_000)
    shares = (1.0, 1.0, 1.0, 0.5)
    found = verdict(at(RAMP_50, **labelled(caught, alarms, shares=shares)), RAMP_50)
    recall = check(found, "recall_loss")
    assert recall.outcome is Outcome.PASS
    assert "labels weighted by inverse coverage" in recall.reason
    assert recall.figure == pytest.approx(0, abs=1e-9)
    assert found.decision is Decision.ADVANCE
    assert not check(found, "average_precision_loss").required
    lost = Paired(5_000, 3_000, 200, 1_800)
    alarms = Paired(6_000, 3_000, 1_000, 400_000)
    found = verdict(at(RAMP_50, **labelled(lost, alarms, shares=shares)), RAMP_50)
    assert check(found, "recall_loss").outcome is Outcome.FAIL
    assert found.decision is Decision.HOLD


def test_half_of_the_labels_at_random_are_as_good_as_all_of_them() -> None:
    halves = labelling(shares=(0.5, 0.5, 0.5, 0.5))
    assert selection(halves.old, 0.1) is Selection.NONE
    assert selection(labelling().old, 0.1) is Selection.NONE
    assert selection((), 0.1) is Selection.NONE


def test_only_positives_show_no_recall() -> None:
    known = labelling(shares=(0.5, 0.5, 0.5, 0.5))
    positives = tuple(replace(each, negatives=0) for each in known.old)
    found = verdict(at(RAMP_50, labelling=replace(known, old=positives)), RAMP_50)
    assert found.decision is Decision.HOLD
    assert "only positives have labels" in check(found, "recall_loss").reason


@pytest.mark.parametrize("step", [CANARY_1, RAMP_100])
@pytest.mark.parametrize(("primary", "candidate"), [(1.0, 0.6), (0.6, 1.0), (0.02, 0.01)])
def test_labels_that_come_rather_for_one_side_s_answers_hold(
    primary: float, candidate: float, step: Step
) -> None:
    covered = {
        "primary": Count(round(50_000 * primary), 50_000),
        "candidate": Count(round(50_000 * candidate), 50_000),
    }
    known = labelling(coverage=covered, coverage_p=1e-9)
    found = verdict(at(step, labelling=known), step)
    assert found.decision is Decision.HOLD
    assert check(found, "label_coverage_gap").outcome is Outcome.FAIL
    by_chance = replace(known, coverage_p=0.2)
    assert verdict(at(step, labelling=by_chance), step).decision is Decision.ADVANCE


# --- labels by unit -------------------------------------------------------------------------------


def in_bursts(caught: Paired, burst: int, effect: float = 1.0) -> UnitRecall:
    """Let the positives of a unit be wholly alike."""
    same, lost, gained = caught.both + caught.neither, caught.primary_only, caught.candidate_only
    shares = tuple(
        UnitShare(share, n // burst) for share, n in ((-1.0, lost), (0.0, same), (1.0, gained))
    )
    return UnitRecall(shares, shares, burst, effect)


@pytest.mark.parametrize(("burst", "outcome"), [(1, "fail"), (2, "fail"), (100, "inconclusive")])
def test_recall_rolls_back_by_units_alone(burst: int, outcome: str) -> None:
    """Eight bursts of a hundred are eight pieces of evidence."""
    of = quality(LOST, by_unit=in_bursts(LOST, burst))
    found = verdict(
        at(CANARY_10, **{**labelled(LOST, served="candidate"), "quality": of}), CANARY_10
    )
    recall = check(found, "recall_loss")
    assert recall.outcome == outcome
    assert recall.rolls_back
    if burst > 1:
        assert "units=" in recall.reason
        assert found.decision is (Decision.ROLLBACK if outcome == "fail" else Decision.HOLD)


def test_recall_passes_only_if_requests_and_units_show_it() -> None:
    kept = Paired(800, 20, 20, 160)
    for burst, outcome in ((1, Outcome.PASS), (2, Outcome.PASS), (20, Outcome.INCONCLUSIVE)):
        of = quality(kept, by_unit=in_bursts(kept, burst))
        found = verdict(at(RAMP_50, **{**labelled(kept), "quality": of}), RAMP_50)
        assert check(found, "recall_loss").outcome is outcome
    few_lose_all = UnitRecall((UnitShare(-1.0, 30), UnitShare(0.0, 70)), (), 10.0, 1.0)
    of = quality(kept, by_unit=few_lose_all)
    found = verdict(at(RAMP_50, **{**labelled(kept), "quality": of}), RAMP_50)
    assert found.decision is not Decision.ADVANCE
    assert "units=100" in check(found, "recall_loss").reason


@pytest.mark.parametrize(("burst", "outcome"), [(1, "fail"), (100, "inconclusive")])
def test_recall_without_units_rolls_back_only_if_minutes_show_it(burst: int, outcome: str) -> None:
    minutes = replace(in_bursts(LOST, burst), mean_burst_size=1.0, has_units=False)
    of = quality(LOST, by_unit=minutes)
    found = verdict(
        at(CANARY_10, **{**labelled(LOST, served="candidate"), "quality": of}), CANARY_10
    )
    recall = check(found, "recall_loss")
    assert recall.outcome == outcome
    assert "units=" not in recall.reason
    assert ("each minute counted once does not show it" in recall.reason) is (burst > 1)
    assert found.decision is (Decision.ROLLBACK if outcome == "fail" else Decision.HOLD)


def test_recall_without_units_that_minutes_leave_open_says_that_minutes_are_counted() -> None:
    kept = Paired(9_000, 200, 200, 600)
    minutes = replace(in_bursts(kept, 100), mean_burst_size=1.0, has_units=False)
    of = {**labelled(kept), "quality": quality(kept, by_unit=minutes)}
    recall = check(verdict(at(RAMP_50, **of), RAMP_50), "recall_loss")
    assert recall.outcome is Outcome.INCONCLUSIVE
    assert recall.reason.endswith(
        "; each minute counted once, since no pair names a unit (`migrate(unit=...)`)"
    )


def test_a_unit_that_loses_block_after_block_counts_once_to_roll_back() -> None:
    one = UnitRecall((UnitShare(-1.0, 300), UnitShare(0.0, 300)), (UnitShare(-0.5, 2),), 1.0, 300.0)
    found = verdict(
        at(
            CANARY_10,
            **{**labelled(LOST, served="candidate"), "quality": quality(LOST, by_unit=one)},
        ),
        CANARY_10,
    )
    assert check(found, "recall_loss").outcome is Outcome.INCONCLUSIVE
    apart = replace(one, design_effect=1.0)
    found = verdict(
        at(
            CANARY_10,
            **{**labelled(LOST, served="candidate"), "quality": quality(LOST, by_unit=apart)},
        ),
        CANARY_10,
    )
    assert found.decision is Decision.ROLLBACK


def test_average_precision_segments_and_weighted_recall_count_bursts_as_one() -> None:
    kept = Paired(800, 20, 20, 160)
    web = SegmentAlarms("channel", "web", Paired(900, 50, 50, 90_000), kept)
    near = Interval(-0.005, -0.015, 0.005)
    for burst, outcome in ((1, Outcome.PASS), (20, Outcome.INCONCLUSIVE)):
        of = quality(
            kept,
            by_unit=in_bursts(kept, burst),
            average_precision_difference=near,
            standard_error=0.004,
        )
        found = verdict(
            at(RAMP_50, **{**labelled(kept), "quality": of, "segments": [web]}), RAMP_50
        )
        for name in ("average_precision_loss", "segment_recall_loss"):
            assert check(found, name).outcome is outcome
    alarms = Paired(9_000, 1_000, 1_000, 400_000)
    many = Paired(8_000, 200, 200, 1_600)
    shares = (1.0, 1.0, 1.0, 0.5)
    for burst, outcome in ((1, Outcome.PASS), (100, Outcome.INCONCLUSIVE)):
        of = quality(many, by_unit=in_bursts(many, burst))
        changes = {**labelled(many, alarms, shares=shares), "quality": of}
        found = verdict(at(RAMP_50, **changes), RAMP_50)
        recall = check(found, "recall_loss")
        assert "weighted" in recall.reason
        assert recall.outcome is outcome


def test_young_labels_of_a_burst_exclude_no_loss() -> None:
    kept = Paired(120, 5, 5, 40)
    for alike, decision in ((1.0, Decision.ADVANCE), (20.0, Decision.HOLD)):
        young = replace(labelling(caught=kept, young=True), mean_burst_size=alike)
        found = verdict(at(SHADOW, quality=None, labelling=young), SHADOW)
        assert found.decision is decision


# --- labels that are too young, and of no pair ----------------------------------------------------


def test_young_labels_hold_by_what_they_say_and_prove_nothing_for_a_side() -> None:
    """Nine days of shadow, all labels there: recall falls, and the cut-off is two weeks."""
    lost = labelling(caught=LOST, alarms=Paired(1_500, 500, 500, 397_500), young=True)
    found = verdict(at(SHADOW, quality=None, labelling=lost), SHADOW)
    assert found.decision is Decision.HOLD
    [reason] = found.reasons
    assert reason.startswith(
        "400,000 labels of 400,000 pairs younger than label_cut_off (14d) do not count yet; by "
        "them, recall is 81.6 % for the primary and 59.2 % for the candidate"
    )
    fine = labelling(young=True)
    found = verdict(at(SHADOW, quality=None, labelling=fine), SHADOW)
    assert found.decision is Decision.ADVANCE
    assert any("do not count yet" in each for each in found.reasons)
    wanted = verdict(at(RAMP_50, quality=None, labelling=fine), RAMP_50)
    assert wanted.decision is Decision.HOLD
    assert wanted.reasons[0].startswith(
        "400,000 labels of 400,000 pairs younger than label_cut_off (14d) do not count yet: "
        "0 positives of 100: 100 more needed"
    )


def test_an_output_without_labels_beside_one_with_labels_holds_by_name() -> None:
    other = output(name="other")
    found = evidence(output(**labelled()), other, rollout=50)
    judged = verdict(found, RAMP_50)
    assert judged.decision is Decision.HOLD
    [reason] = judged.reasons
    assert reason.startswith("other: no label is about it (column label.other), and 100 positives")
    assert "outputs.other.gate.advance.min_positives: 0" in reason
    early = evidence(output(**labelled()), other, rollout=1)
    assert verdict(early, CANARY_1).decision is Decision.ADVANCE
    outputs = {"other": {"gate": {"advance": {"min_positives": 0}}}}
    accepted = verdict(found, RAMP_50, Playbook.model_validate({"flag": FLAG, "outputs": outputs}))
    assert accepted.decision is Decision.ADVANCE
    assert any("the playbook wants none (min_positives: 0)" in each for each in accepted.reasons)


def test_a_column_of_labels_that_is_about_no_output_is_named() -> None:
    given = GivenLabels(400_000, 0, columns=("label.probabilty",))
    found = replace(at(RAMP_50, quality=None, labelling=None), labels=given)
    said = "the column label.probabilty is about no output: these are probability, and 100"
    assert verdict(found, RAMP_50).reasons[0].startswith(said)


@pytest.mark.parametrize("young", [True, False])
@pytest.mark.parametrize(
    ("caught", "decision", "said"),
    [
        (Paired(9, 3, 0, 7), Decision.ADVANCE, ""),
        (Paired(14, 0, 0, 6), Decision.HOLD, "recall +0 points against the primary's, limit -10"),
        (
            Paired(80, 20, 10, 60),
            Decision.HOLD,
            "recall -5.88 points against the primary's, limit -5",
        ),
        (
            Paired(80, 14, 10, 26),
            Decision.HOLD,
            "recall -3.08 points against the primary's, limit -10",
        ),
        (Paired(120, 5, 5, 40), Decision.ADVANCE, ""),
    ],
    ids=["too few", "nothing excluded", "estimate beyond", "loss not excluded", "kept"],
)
def test_labels_that_are_not_demanded_must_not_leave_open_whether_recall_is_lost(
    caught: Paired, decision: Decision, said: str, young: bool
) -> None:
    """What holds here advanced in one of twenty runs with a recall of .72 against .50."""
    if young:
        changes: dict[str, Any] = {
            "quality": None,
            "labelling": labelling(caught=caught, young=True),
        }
    else:
        changes = dict(labelled(caught))
    found = verdict(at(SHADOW, **changes), SHADOW)
    assert found.decision is decision
    if said:
        [reason] = found.reasons
        assert said in reason
        assert "positives" in reason


def test_the_hold_of_young_labels_ends_with_more_of_them_or_with_old_ones() -> None:
    few, kept = Paired(14, 0, 0, 6), labelled(Paired(120, 5, 5, 40))
    young = labelling(caught=few, young=True).young
    alone = at(SHADOW, quality=None, labelling=labelling(caught=few, young=True))
    one = check(verdict(alone, SHADOW), "young_labels")
    assert (one.outcome, one.more_needed is not None) == (Outcome.INCONCLUSIVE, True)
    assert one.reason.endswith("at the present rates; or wait until these count")
    assert isinstance(kept["labelling"], Labelling)
    both = at(SHADOW, **{**kept, "labelling": replace(kept["labelling"], young=young)})
    assert verdict(both, SHADOW).decision is Decision.ADVANCE


def test_a_recall_that_is_lost_of_late_holds_though_older_labels_keep_it() -> None:
    kept = labelled(Paired(1_800, 20, 20, 160))
    alarms = Paired(1_500, 500, 500, 397_500)
    young = labelling(caught=LOST, alarms=alarms, young=True).young
    assert isinstance(kept["labelling"], Labelling)
    found = at(RAMP_50, **{**kept, "labelling": replace(kept["labelling"], young=young)})
    assert verdict(found, RAMP_50).decision is Decision.HOLD


def test_an_estimate_holds_where_labels_are_weighted_or_nothing_but_scores_has_them() -> None:
    alarms = Paired(150, 60, 60, 400_000)
    lost = labelled(Paired(60, 22, 10, 20), alarms, shares=(1.0, 1.0, 1.0, 0.5))
    found = verdict(at(SHADOW, **lost), SHADOW)
    assert found.decision is Decision.HOLD
    assert "labels weighted by inverse coverage" in found.reasons[0]
    unsure = quality(average_precision_difference=Interval(-0.04, -0.1, 0.02), standard_error=0.03)
    without = output(None, quality=unsure, labelling=None)
    found = verdict(evidence(without), SHADOW)
    assert any(each.startswith("average precision -0.040") for each in found.reasons)


def test_young_labels_that_come_first_for_alarms_say_nothing_against_a_side() -> None:
    """Alarms are reviewed within hours, what the customers report takes weeks."""
    alarms = Paired(1_500, 1_000, 500, 397_000)
    first = labelling(caught=LOST, alarms=alarms, shares=(1.0, 1.0, 0.02, 0.02), young=True)
    found = verdict(at(SHADOW, quality=None, labelling=first), SHADOW)
    assert found.decision is Decision.ADVANCE
    assert any("they came first for alarms" in each for each in found.reasons)


@pytest.mark.parametrize("step", [SHADOW, RAMP_50])
def test_labels_of_no_pair_hold_and_show_ids_of_both_kinds(step: Step) -> None:
    given = GivenLabels(10_000, 900, ("7", "8"), ("007", "008"))
    half = labelling(shares=(0.5, 0.5, 0.5, 0.5))
    found = verdict(replace(at(step, labelling=half), labels=given), step)
    assert found.decision is Decision.HOLD
    assert found.reasons == (
        "900 of 10,000 labels belong to no pair (9 %, limit 5 %): ids of such labels are '7', '8', "
        "of pairs '007', '008'",
    )
    few = replace(given, unknown=400)
    found = verdict(replace(at(step, labelling=half), labels=few), step)
    assert found.decision is Decision.ADVANCE


def test_labels_of_other_requests_besides_are_not_a_loss() -> None:
    given = GivenLabels(4_000_000, 3_600_000, ("x",), ("r1",))
    found = verdict(replace(at(RAMP_50), labels=given), RAMP_50)
    assert found.decision is Decision.ADVANCE
    assert "each pair that is old enough has its label" in check(found, "unknown_labels").reason


# --- segments -------------------------------------------------------------------------------------


def test_a_segment_that_loses_its_recall_holds() -> None:
    table = Paired(200, 50, 50, 9_000)
    for caught, decision in (
        (Paired(20, 150, 150, 30), Decision.ADVANCE),
        (Paired(20, 180, 10, 30), Decision.HOLD),
    ):
        web = SegmentAlarms("channel", "web", table, caught)
        found = verdict(at(SHADOW, segments=[web]), SHADOW)
        assert found.decision is decision
    one = check(found, "segment_recall_loss")
    assert (one.segment, one.outcome, one.rolls_back) == ("channel=web", Outcome.FAIL, False)


def test_the_playbook_refuses_labels_that_will_never_be() -> None:
    steps = [{"stage": "shadow", "rollout": 0, "hold": "1d", "min_labels": 5}]
    with pytest.raises(ValueError, match="labels is none: there will never be any"):
        Playbook.model_validate({"flag": FLAG, "labels": "none", "steps": steps})


def test_the_cells_of_the_default_evidence_are_its_alarms() -> None:
    assert sum(each.pairs for each in labelling().old) == ALARMS.pairs
