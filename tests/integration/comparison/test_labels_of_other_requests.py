"""Labels that know nothing of the requests compare nothing, whatever the kind of answer."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score

from flags.gate import Decision
from flags.gate.checks.category import CategoryEvidence
from flags.gate.checks.number import NumberEvidence
from flags.gate.checks.ranking import RankingEvidence
from tests.support.answer_pairs import answer_pairs, judged, label_file, playbook_of

SIZE = 6_000
LISTED = 3
Values = npt.NDArray[Any]


def fraud(rng: np.random.Generator) -> tuple[Values, dict[str, Values]]:
    positive = rng.random(SIZE) < 0.2
    risk = rng.normal(-3, 1, SIZE) + 6 * positive
    scores = {s: 1 / (1 + np.exp(-risk - rng.normal(0, 0.1, SIZE))) for s in SIDES}
    return positive.astype(int), scores


def price(rng: np.random.Generator) -> tuple[Values, dict[str, Values]]:
    true = rng.gamma(3, 20, SIZE)
    return true, {side: true * np.exp(rng.normal(0, 0.1, SIZE)) for side in SIDES}


def species(rng: np.random.Generator) -> tuple[Values, dict[str, Values]]:
    true = rng.choice(["cat", "dog", "fox"], SIZE, p=[0.7, 0.2, 0.1])
    wrong = rng.random(SIZE) < 0.1
    said = np.where(wrong, rng.choice(["cat", "dog", "fox"], SIZE), true)
    return true, {"primary": said, "candidate": np.where(rng.random(SIZE) < 0.005, "cat", said)}


def items(rng: np.random.Generator) -> tuple[Values, dict[str, Values]]:
    relevant = rng.integers(0, 500, SIZE)
    lists = {}
    for side in SIDES:
        first = relevant - rng.integers(0, 2, SIZE)
        lists[side] = np.array([f"|{n}|{n + 1}|{n + 2}|" for n in first])
    return relevant, lists


SIDES = ("primary", "candidate")
KINDS = {
    "score": (fraud, "score", "recall_loss"),
    "number": (price, "score", "error_loss"),
    "class": (species, "class", "accuracy_loss"),
    "ranking": (items, "ranking", "ndcg_loss"),
}


def pairs_of(kind: str, said: dict[str, Values], *, rollout: float = 10) -> Any:
    what = KINDS[kind][1]
    columns = {f"{side}_{what}.output": said[side] for side in SIDES}
    if kind == "score":
        columns |= {f"{side}_threshold.output": np.full(SIZE, 0.5) for side in SIDES}
        columns |= {f"{side}_decision.output": said[side] >= 0.5 for side in SIDES}
    return answer_pairs(columns, rollout=rollout)


def verdict(kind: str, said: dict[str, Values], labels: Path) -> tuple[Any, Any, str]:
    found, judgement = judged(pairs_of(kind, said), labels, playbook_of())
    named = [each for each in judgement.verdict.checks if each.name == KINDS[kind][2]]
    return found, judgement.verdict, " ".join(each.reason for each in named)


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_candidate_goes_on_by_labels_that_fit(kind: str, tmp_path: Path) -> None:
    labels, said = KINDS[kind][0](np.random.default_rng(1))
    _, found, _ = verdict(kind, said, label_file(tmp_path / "labels.csv", labels))
    assert found.decision is Decision.ADVANCE, found.reasons


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_other_requests_hold_and_excuse_no_difference(kind: str, tmp_path: Path) -> None:
    """By them, a candidate that answers other requests is exactly as right as the primary."""
    rng = np.random.default_rng(2)
    labels, said = KINDS[kind][0](rng)
    file = label_file(tmp_path / "labels.csv", rng.permutation(labels))
    _, found, reason = verdict(kind, said, file)
    assert found.decision is Decision.HOLD
    assert "labels go with neither side's" in reason
    assert "not known: are they of other requests?" in reason
    said["candidate"] = rng.permutation(said["primary"])
    _, found, _ = verdict(kind, said, file)
    assert found.decision is Decision.HOLD
    assert any(
        "in common" in each or "too" in each or "same" in each for each in found.reasons
    ) or (kind == "number" and any("spreads away" in each for each in found.reasons))


@pytest.mark.parametrize("kind", ["score", "class"])
def test_labels_the_wrong_way_round_hold_and_roll_nothing_back(kind: str, tmp_path: Path) -> None:
    labels, said = KINDS[kind][0](np.random.default_rng(3))
    if kind == "score":
        turned = 1 - labels
    else:
        turned = np.where(labels == "cat", "dog", np.where(labels == "dog", "cat", labels))
    _, found, reason = verdict(kind, said, label_file(tmp_path / "labels.csv", turned))
    assert found.decision is Decision.HOLD
    assert "labels contradict the primary's" in reason
    assert "the wrong way round" in reason


@pytest.mark.parametrize("factor", [100, 0.01])
def test_true_values_in_another_unit_hold(factor: float, tmp_path: Path) -> None:
    """In cents, the errors of two sides are alike, however wrong one of them is."""
    rng = np.random.default_rng(4)
    true, said = price(rng)
    file = label_file(tmp_path / "labels.csv", true * factor)
    for candidate in (said["candidate"], rng.permutation(said["primary"])):
        _, found, reason = verdict("number", {**said, "candidate": candidate}, file)
        assert found.decision is Decision.HOLD
        assert "in another unit?" in reason


def test_a_weak_model_of_rare_demand_fits_its_true_values(tmp_path: Path) -> None:
    """Its errors are larger than those of always saying 0, and yet it tells something."""
    rng = np.random.default_rng(5)
    rate = rng.gamma(0.5, 0.3, SIZE)
    said = {side: rate * np.exp(rng.normal(0, 0.05, SIZE)) for side in SIDES}
    _, found, _ = verdict(
        "number", said, label_file(tmp_path / "labels.csv", rng.poisson(rate).astype(float))
    )
    assert found.decision is Decision.ADVANCE, found.reasons


def test_recall_in_points_does_not_pass_where_the_primary_catches_hardly_anything(
    tmp_path: Path,
) -> None:
    """Who catches none of the positives loses 4 points of 4, and the limit is 5."""
    rng = np.random.default_rng(6)
    positive = rng.random(SIZE) < 0.4
    caught = positive & (rng.random(SIZE) < 0.04)
    primary = np.where(caught, 0.9, 0.1)
    said = {"primary": primary, "candidate": rng.permutation(primary)}
    _, found, reason = verdict("score", said, label_file(tmp_path / "l.csv", positive.astype(int)))
    assert found.decision is Decision.HOLD
    assert "not surely half as many" in reason
    assert any("of the primary's alarms too" in each for each in found.reasons)


def test_how_labels_fit_is_what_other_libraries_find(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    labels, said = fraud(rng)
    file = label_file(tmp_path / "labels.csv", labels)
    [output] = verdict("score", said, file)[0].outputs
    for side in SIDES:
        area = getattr(output.quality, side).roc_auc
        assert area == pytest.approx(roc_auc_score(labels, said[side]), abs=1e-9)

    true, said = price(rng)
    [number] = verdict("number", said, label_file(tmp_path / "prices.csv", true))[0].answers
    assert isinstance(number, NumberEvidence)
    assert number.primary is not None
    assert number.primary.correlation is not None
    within = true < np.quantile(true, 0.99)  # what is cut is the far tail
    expected = np.corrcoef(true[within], said["primary"][within])[0, 1]
    assert number.primary.correlation == pytest.approx(expected, abs=0.02)
    assert number.primary.scale == pytest.approx(1, abs=0.05)

    named, said = species(rng)
    [classes] = verdict("class", said, label_file(tmp_path / "species.csv", named))[0].answers
    assert isinstance(classes, CategoryEvidence)
    assert classes.primary is not None
    moved = np.mean([np.mean(named == np.roll(said["primary"], n)) for n in range(1, 200)])
    assert classes.primary.chance_accuracy == pytest.approx(moved, abs=0.01)

    relevant, said = items(rng)
    [lists] = verdict("ranking", said, label_file(tmp_path / "items.csv", relevant))[0].answers
    assert isinstance(lists, RankingEvidence)
    assert lists.primary is not None
    assert lists.primary.found_by_chance == pytest.approx(LISTED / 500, abs=0.003)
    assert lists.primary.found_in_sample is not None
    assert lists.primary.found_in_sample.rate == 1
