"""Labels that follow who answered compare neither side, whichever way they follow."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from flags.gate import decide
from flags.gate.answered_labels import Follows, answered_labels
from flags.gate.evidence import (
    Count,
    Evidence,
    LabelledCell,
    Labelling,
    OutcomeCell,
    OutcomeMetric,
    Paired,
)
from flags.gate.verdict import Check, Decision, Outcome
from flags.playbook.model import Playbook
from tests.support.evidence import FLAG, evidence, output, quality

PLAYBOOK = Playbook(flag=FLAG)
FIRED = ((True, True), (True, False), (False, True), (False, False))
POSITIVES = (6_000, 1_500, 1_500, 1_000)
"""By cell: both sides have the same recall, and catch others."""
PAIRS = (7_000, 4_000, 4_000, 985_000)

LOST = (4_000, 3_500, 500, 1_000)

Cells = tuple[LabelledCell, ...]


def cells(rollout: float, positives: tuple[int, ...] = POSITIVES) -> Cells:
    """Return labels of all pairs; each side answered its share of each cell."""
    found = []
    for served, share in (("primary", 1 - rollout), ("candidate", rollout)):
        for fired, pairs, positive in zip(FIRED, PAIRS, positives, strict=True):
            count, hit = round(share * pairs), round(share * positive)
            found.append(LabelledCell(served, *fired, count, hit, count - hit))
    return tuple(found)


def only(known: Cells, *, answered: bool) -> Cells:
    """Take the positives for negative whose alarm was (not) answered."""

    def raised(each: LabelledCell) -> bool:
        alarm = each.candidate_alarm if each.served == "candidate" else each.primary_alarm
        return bool(alarm)

    return tuple(
        each
        if raised(each) is answered
        else replace(each, positives=0, negatives=each.positives + each.negatives)
        for each in known
    )


def looked_into(known: Cells) -> Cells:
    return only(known, answered=True)


def prevented(known: Cells) -> Cells:
    return only(known, answered=False)


def judged(known: Cells, rollout: int, **changes: object) -> tuple[Decision, dict[str, Check]]:
    counts = [
        sum(c.positives for c in known if (c.primary_alarm, c.candidate_alarm) == fired)
        for fired in FIRED
    ]
    of = quality(Paired(*counts), labelled=sum(each.labelled for each in known))
    labels = Labelling(known, (), {}, None)
    found: Evidence = evidence(output(quality=of, labelling=labels), rollout=rollout)
    verdict = decide(replace(found, **changes), PLAYBOOK, PLAYBOOK.steps_at(rollout)[0])
    return verdict.decision, {each.name: each for each in verdict.checks}


@pytest.mark.parametrize("rollout", [1, 10, 50, 90])
@pytest.mark.parametrize(
    ("change", "follows", "cause"),
    [
        (looked_into, Follows.FOUND, "are answered alarms looked into"),
        (prevented, Follows.PREVENTED, "does an answered alarm prevent"),
    ],
)
def test_labels_that_follow_who_answered_hold_and_say_what_may_be_the_cause(
    rollout: int, change: Callable[[Cells], Cells], follows: Follows, cause: str
) -> None:
    known = change(cells(rollout / 100, tuple(3 * each for each in POSITIVES)))
    found = answered_labels(known)
    assert found is not None
    assert found.follows is follows
    step = 50 if rollout == 90 else rollout
    decision, checks = judged(known, step)
    assert decision is Decision.HOLD
    recall = checks["recall_loss"]
    assert recall.outcome is Outcome.INCONCLUSIVE
    assert recall.required
    assert re.match(
        r"labels depend on who answered \([\d,]+ positives have an alarm of the \w+ alone; it "
        r"answered [\d,]+ of them, by chance [\d,.]+\), so recall is not known: ",
        recall.reason,
    )
    assert cause in recall.reason
    assert "segment_recall_loss" not in checks
    assert checks["average_precision_loss"].reason.startswith("average precision is not compared")


def test_labels_that_do_not_follow_compare_the_sides() -> None:
    for rollout in (0.0, 0.01, 0.1, 0.5, 1.0):
        assert answered_labels(cells(rollout)) is None
    decision, checks = judged(cells(0.1), 10)
    assert decision is Decision.ADVANCE
    assert checks["recall_loss"].outcome is Outcome.PASS


def test_what_is_answered_by_chance_is_hardly_ever_taken_for_dependence() -> None:
    random = np.random.default_rng(5)
    found = 0
    for _ in range(2_000):
        rollout = random.choice([0.01, 0.1, 0.5])
        known = []
        for fired, pairs, positive in zip(FIRED, PAIRS, POSITIVES, strict=True):
            hit = int(random.binomial(positive, rollout))
            for served, pos in (("candidate", hit), ("primary", positive - hit)):
                known.append(LabelledCell(served, *fired, pairs, pos, pairs - pos))
        found += answered_labels(known) is not None
    assert found == 0


def test_a_drift_of_positives_while_the_rollout_rises_is_no_dependence() -> None:
    """All rollouts are counted together: positives may be rarer at one than at another."""
    early, late = cells(0.01), cells(0.5, tuple(each // 5 for each in POSITIVES))
    known = tuple(
        replace(
            one,
            pairs=one.pairs + two.pairs,
            positives=one.positives + two.positives,
            negatives=one.negatives + two.negatives,
        )
        for one, two in zip(early, late, strict=True)
    )
    assert answered_labels(known) is None


def test_a_side_whose_answers_are_positive_whatever_was_decided_is_not_followed_alarms() -> None:
    """Complaints as labels: three times as many where the candidate answered, in each cell."""
    known = tuple(
        replace(each, positives=3 * each.positives) if each.served == "candidate" else each
        for each in cells(0.5)
    )
    assert answered_labels(known) is None


def test_a_burst_of_positives_counts_once() -> None:
    positives = (600, 40, 0, 100)
    known = tuple(
        replace(each, positives=40 if each.served == "primary" else 0)
        if (each.primary_alarm, each.candidate_alarm) == (True, False)
        else each
        for each in cells(0.5, positives)
    )
    assert answered_labels(known) is not None
    assert answered_labels(known, cluster_size=20.0) is None


def by_side(candidate: int, primary: int, alike: tuple[int, int]) -> OutcomeMetric:
    """Return positive labels by arm: those on flips, and those where both sides decide alike."""
    found = [
        OutcomeCell(arm, 0.5, flipped, total if flipped else 0.0, total, units)
        for arm, positives, same in ((True, candidate, alike[0]), (False, primary, alike[1]))
        for flipped, total, units in (
            (True, 1.0, positives),
            (True, 0.0, 5_000),
            (False, 1.0, same),
            (False, 0.0, 50_000),
        )
    ]
    whole = {"primary": Count(50_000, 50_000), "candidate": Count(50_000, 50_000)}
    return OutcomeMetric("labels", "request", tuple(found), used=1, coverage=whole)


def test_more_positives_that_an_answered_alarm_found_are_no_harm() -> None:
    """A candidate that finds more, since what it alarms is looked into, is not rolled back."""
    metric = by_side(900, 100, alike=(300, 300))
    known = looked_into(cells(0.5))
    decision, checks = judged(known, 50, labels_by_side=metric)
    assert decision is Decision.HOLD
    assert "no rollback: labels depend on who answered" in checks["label_ratio"].reason
    assert judged(cells(0.5), 50, labels_by_side=metric)[0] is Decision.ROLLBACK
    assert judged(prevented(cells(0.5)), 50, labels_by_side=metric)[0] is Decision.ROLLBACK
    worse = by_side(900, 100, alike=(900, 100))
    assert judged(known, 50, labels_by_side=worse)[0] is Decision.ROLLBACK


def test_labels_of_answered_alarms_alone_show_even_where_one_side_answered_everything() -> None:
    """The labels that come at 1 % are those of the shadow: nothing there depends on a draw."""
    decision, checks = judged(looked_into(cells(0.0)), 1)
    assert decision is Decision.HOLD
    assert checks["recall_loss"].outcome is Outcome.FAIL
    assert "no rollback until labels of what the candidate answered" in checks["recall_loss"].reason


def looked_into_in_part(known: Cells) -> Cells:
    """Find 60 % of the positives of answered alarms, and 5 % of the others."""
    found = []
    for each, answered in zip(known, only(known, answered=True), strict=True):
        share = 0.6 if answered.positives else 0.05
        positives = round(share * each.positives)
        found.append(replace(each, positives=positives, negatives=each.labelled - positives))
    return tuple(found)


@pytest.mark.parametrize("drawn", [0, 0.01, 0.1])
def test_labels_of_a_shadow_that_follow_the_answer_in_part_roll_back_nothing(drawn: float) -> None:
    """A canary begins after a shadow of as many positives: it has had few of its own."""
    canary = tuple(
        replace(
            each,
            pairs=each.pairs // 100,
            positives=each.positives // 100,
            negatives=each.negatives // 100,
        )
        for each in cells(drawn)
    )
    known = looked_into_in_part(cells(0.0)) + looked_into_in_part(canary)
    decision, checks = judged(known, 10)
    assert (decision, checks["recall_loss"].outcome) == (Decision.HOLD, Outcome.FAIL)
    assert not checks["recall_loss"].rolls_back
    assert "are answered alarms looked into rather than others?" in checks["recall_loss"].reason


@pytest.mark.parametrize(("drawn", "decision"), [(0.0, "hold"), (0.01, "rollback")])
def test_complete_labels_roll_back_once_what_the_candidate_answered_shows_the_loss(
    drawn: float, decision: str
) -> None:
    assert judged(cells(drawn, LOST), 10)[0].lower() == decision


def test_labels_that_answered_alarms_prevent_pass_nothing_where_one_side_answered() -> None:
    decision, checks = judged(prevented(cells(0.0)), 10)
    assert decision is Decision.HOLD
    assert checks["recall_loss"].outcome is Outcome.INCONCLUSIVE


def test_who_answered_need_not_be_known() -> None:
    nobody = tuple(replace(each, served=None) for each in cells(0.0, LOST))
    assert judged(nobody, 10)[0] is Decision.ROLLBACK


def test_young_labels_of_answered_alarms_alone_hold_nothing_and_say_why() -> None:
    known = looked_into(cells(0.0))
    young = output(quality=None, labelling=Labelling((), known, {}, None))
    found = decide(evidence(young, rollout=0), PLAYBOOK, PLAYBOOK.steps_at(0)[0])
    [check] = [each for each in found.checks if each.name == "young_labels"]
    assert check.outcome is Outcome.PASS
    assert "this says little, since 0 of 7,500 positives had no alarm" in check.reason
    lost = output(quality=None, labelling=Labelling((), cells(0.0, LOST), {}, None))
    held = decide(evidence(lost, rollout=0), PLAYBOOK, PLAYBOOK.steps_at(0)[0])
    assert held.decision is Decision.HOLD
