"""Models of several classes judged as a whole: from pairs and labels to the verdict."""

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console
from sklearn import metrics

from comparison.errors import LabelsUnfitError
from comparison.labels import LabelFiles
from comparison.report.html.page import render
from comparison.report.terminal.verdict import print_verdict
from flags.gate import Decision
from flags.gate.checks.category import CategoryEvidence
from tests.support.answer_pairs import answer_pairs, judged, label_file, playbook_of

Words = npt.NDArray[Any]


def classified(
    classes: int, accuracies: tuple[float, float], size: int = 2_000, seed: int = 4
) -> tuple[Words, Words, Words]:
    """Return the truth, and what two sides of these accuracies say of it."""
    rng = np.random.default_rng(seed)
    names = np.array([f"class-{number}" for number in range(classes)])
    truth = rng.integers(0, classes, size)
    sides = []
    for accuracy in accuracies:
        wrong = (truth + rng.integers(1, classes, size)) % classes
        sides.append(names[np.where(rng.random(size) < accuracy, truth, wrong)])
    return names[truth], sides[0], sides[1]


def pairs_of(primary: Words, candidate: Words, **options: Any) -> Any:
    values = {"primary_class.species": primary, "candidate_class.species": candidate}
    return answer_pairs(values, **options)


def checks_of(judgement: Any) -> dict[str, Any]:
    return {each.name: each for each in judgement.verdict.checks}


def test_ten_classes_with_a_far_better_candidate_advance(tmp_path: Path) -> None:
    truth, primary, candidate = classified(10, (0.74, 0.996), 3_000)
    labels = label_file(tmp_path / "labels.csv", truth)
    evidence, judgement = judged(pairs_of(primary, candidate), labels)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons
    [found] = evidence.answers
    assert isinstance(found, CategoryEvidence)
    for quality, said in ((found.primary, primary), (found.candidate, candidate)):
        assert quality is not None
        assert quality.accuracy.rate == metrics.accuracy_score(truth, said)
        assert quality.macro_f1 == pytest.approx(metrics.f1_score(truth, said, average="macro"))
        recall = metrics.recall_score(truth, said, average=None, labels=np.unique(truth))
        assert quality.macro_recall == pytest.approx(recall.mean())
        side = "primary" if said is primary else "candidate"
        own = [getattr(each.caught, side).rate for each in found.classes]
        assert own == pytest.approx(recall)
    matrix = metrics.confusion_matrix(primary, candidate, labels=np.unique(truth))
    np.fill_diagonal(matrix, 0)
    assert found.changes[0].pairs == matrix.max()
    assert sum(each.pairs for each in found.changes) == matrix.sum()


def test_the_reverse_rolls_back(tmp_path: Path) -> None:
    truth, primary, candidate = classified(10, (0.996, 0.74))
    labels = label_file(tmp_path / "labels.csv", truth, "label.species")
    _, judgement = judged(pairs_of(primary, candidate, rollout=10), labels)
    assert judgement.verdict.decision is Decision.ROLLBACK


def repeated(
    truth: Words, primary: Words, candidate: Words, pairs: Any, objects: float = 0.3
) -> Words:
    """Return labels that repeat what was answered; of what is wrong, a share is corrected."""
    answered = np.where(pairs["served"] == "candidate", candidate, primary)
    corrected = np.random.default_rng(8).random(len(truth)) < objects
    return np.where(corrected, truth, answered)


@pytest.mark.parametrize(
    ("accuracies", "rollout"),
    [((0.9, 0.9), 10), ((0.9, 0.95), 10), ((0.9, 0.8), 90)],
    ids=["equal", "better", "worse"],
)
def test_labels_that_repeat_what_was_answered_compare_neither_side(
    tmp_path: Path, accuracies: tuple[float, float], rollout: int
) -> None:
    """They rolled back an equal candidate of a canary, and let a worse one of 90 % go on."""
    truth, primary, candidate = classified(4, accuracies, 8_000)
    pairs = pairs_of(primary, candidate, rollout=rollout)
    labels = label_file(tmp_path / "labels.csv", repeated(truth, primary, candidate, pairs))
    steps = [
        {"stage": "canary", "rollout": rollout, "hold": "7d", "min_pairs": 100, "min_labels": 1}
    ]
    _, judgement = judged(pairs, labels, playbook_of(steps=steps))
    assert judgement.verdict.decision is Decision.HOLD
    check = checks_of(judgement)["accuracy_loss"]
    assert check.reason.startswith("labels favour the side that answered (where the primary did, ")
    assert "; where the candidate did, accuracy +" in check.reason
    assert "class_recall_loss" not in checks_of(judgement)


@pytest.mark.parametrize("rollout", [10, 90])
def test_labels_that_do_not_depend_on_who_answered_decide_as_before(
    tmp_path: Path, rollout: int
) -> None:
    steps = [
        {"stage": "canary", "rollout": rollout, "hold": "7d", "min_pairs": 100, "min_labels": 1}
    ]
    for accuracies, right in (((0.9, 0.92), Decision.ADVANCE), ((0.9, 0.75), Decision.ROLLBACK)):
        truth, primary, candidate = classified(4, accuracies, 8_000)
        labels = label_file(tmp_path / "labels.csv", truth)
        pairs = pairs_of(primary, candidate, rollout=rollout)
        _, judgement = judged(pairs, labels, playbook_of(steps=steps))
        assert judgement.verdict.decision is right, judgement.verdict.reasons


def test_labels_of_a_shadow_alone_roll_back_no_canary(tmp_path: Path) -> None:
    """In a shadow the primary answers everything: labels may repeat what it said."""
    truth, primary, candidate = classified(4, (0.9, 0.9), 8_000)
    pairs = pairs_of(primary, candidate, rollout=10)
    is_shadow = np.arange(8_000) < 7_000
    pairs["served"] = pairs["active"] = np.where(is_shadow, "primary", pairs["active"])
    pairs["rollout"] = np.where(is_shadow, 0.0, 10.0)
    said = repeated(truth, primary, candidate, pairs)
    labels = label_file(tmp_path / "labels.csv", np.where(is_shadow, said, ""))
    steps = [
        {"stage": stage, "rollout": rollout, "hold": "20h", "min_pairs": 100, "min_labels": 1}
        for stage, rollout in (("shadow", 0), ("canary", 10))
    ]
    _, judgement = judged(pairs, labels, playbook_of(steps=steps, label_cut_off="1d"))
    assert judgement.verdict.decision is Decision.HOLD
    assert checks_of(judgement)["accuracy_loss"].reason.endswith(
        "; no rollback before labels of what the candidate answered surely show a loss, too: "
        "so far there are none"
    )


def test_without_labels_a_candidate_that_says_something_else_holds() -> None:
    _, primary, candidate = classified(10, (0.996, 0.5))
    _, judgement = judged(pairs_of(primary, candidate, rollout=10))
    assert judgement.verdict.decision is Decision.HOLD
    assert checks_of(judgement)["class_agreement"].outcome == "fail"


@pytest.mark.parametrize("classes", [10, 100])
def test_many_classes_are_counted_and_shown_at_once(tmp_path: Path, classes: int) -> None:
    """Two thousand pairs: a page below 2 MB, a terminal below 60 lines, 5 s of processor time."""
    truth, primary, candidate = classified(classes, (0.74, 0.9))
    labels = label_file(tmp_path / "labels.csv", truth)
    pairs = pairs_of(primary, candidate)
    begun = time.process_time()
    evidence, judgement = judged(pairs, labels)
    page = render(evidence, judgement)
    terminal = Console(file=io.StringIO(), width=120)
    print_verdict(evidence, judgement, terminal)
    spent = time.process_time() - begun
    assert len(page) < 2_000_000
    assert len(terminal.file.getvalue().splitlines()) < 60  # type: ignore[attr-defined]
    assert spent < 10  # twice what is promised: the machine of the tests may be slow


def test_top_classes_are_held_against_labels(tmp_path: Path) -> None:
    truth, primary, candidate = classified(10, (0.5, 0.6))
    likely = [np.char.add(np.char.add("|", said), "|class-3|") for said in (primary, candidate)]
    pairs = pairs_of(primary, candidate).assign(
        **{"primary_top.species": likely[0], "candidate_top.species": likely[1]}
    )
    evidence, _ = judged(pairs, label_file(tmp_path / "labels.csv", truth))
    [found] = evidence.answers
    assert isinstance(found, CategoryEvidence)
    assert found.candidate is not None
    assert found.candidate.top_k_accuracy is not None
    expected = ((candidate == truth) | (truth == "class-3")).sum()
    assert found.candidate.top_k_accuracy.count == expected


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("yes", "no"), (1, 0)),
        (("true", "false"), ("yes", "no")),
        (("7", "3"), (7, 3)),
        (("1", "0"), ("1.0", "0")),
    ],
)
def test_labels_are_the_names_of_classes_however_they_are_written(
    tmp_path: Path, names: tuple[str, str], labels: tuple[Any, Any]
) -> None:
    said = np.where(np.arange(400) % 3 == 0, *names)
    written = label_file(tmp_path / "labels.csv", [labels[names.index(each)] for each in said])
    evidence, _ = judged(pairs_of(said, said), written)
    [found] = evidence.answers
    assert isinstance(found, CategoryEvidence)
    assert found.primary is not None
    assert found.primary.accuracy.rate == 1


def test_truths_that_are_not_classes_are_refused_unless_somebody_says_what_they_mean(
    tmp_path: Path,
) -> None:
    said = np.where(np.arange(400) % 3 == 0, "spam", "ham")
    written = label_file(tmp_path / "labels.csv", (said == "spam").astype(int))
    with pytest.raises(LabelsUnfitError, match="labels of species are 1 and 0"):
        judged(pairs_of(said, said), written)
    files = LabelFiles(written, {"1": "spam", "0": "ham"})
    evidence, _ = judged(pairs_of(said, said), files)
    [found] = evidence.answers
    assert isinstance(found, CategoryEvidence)
    assert found.primary is not None
    assert found.primary.accuracy.rate == 1


def test_bursts_of_one_customer_prove_no_accuracy(tmp_path: Path) -> None:
    """Ten customers send two hundred alike requests each."""
    truth = np.repeat(np.where(np.arange(10) < 8, "a", "b"), 200)
    right = np.repeat(np.arange(10) < 5, 200)
    primary, candidate = truth, np.where(right == (truth == "a"), "a", "b")
    units = np.repeat([f"{number:016x}" for number in range(10)], 200)
    labels = label_file(tmp_path / "labels.csv", truth)
    pairs = pairs_of(primary, candidate, rollout=10, unit=units)
    _, judgement = judged(pairs, labels, playbook_of())
    assert checks_of(judgement)["accuracy_loss"].outcome == "inconclusive"
    _, judgement = judged(pairs.drop(columns=["unit"]), labels, playbook_of())
    assert checks_of(judgement)["accuracy_loss"].outcome == "fail"


@pytest.mark.parametrize(
    ("burst", "decision"), [(50, Decision.HOLD), (1, Decision.ROLLBACK)], ids=["bursts", "evenly"]
)
def test_bursts_without_a_unit_hold_and_losses_spread_evenly_roll_back(
    tmp_path: Path, burst: int, decision: Decision
) -> None:
    """The candidate is wrong in a tenth of the requests; alike ones come within a minute."""
    size = 5_000
    begun = np.arange(size) // burst * burst
    wrong = np.random.default_rng(5).random(size)[begun] < 0.1
    truth = np.where(begun // burst % 2 == 0, "cat", "dog")
    pairs = pairs_of(truth, np.where(wrong, "fox", truth), rollout=10)
    pairs["time"] = pairs["time"].to_numpy()[begun]
    _, judgement = judged(pairs, label_file(tmp_path / "labels.csv", truth))
    assert judgement.verdict.decision is decision
    check = checks_of(judgement)["accuracy_loss"]
    assert check.outcome == ("fail" if burst == 1 else "inconclusive")
    assert ("no pair names a unit" in check.reason) is (burst > 1)
