"""What is lost over all pairs of an output: one segment, the last day, a rare class, few labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from jsonschema import Draft202012Validator

from comparison.report.html.page import render
from comparison.report.verdict_document import VerdictDocument
from comparison.report.verdict_schema import schema
from flags.gate import Decision
from flags.gate.checks.category import CategoryEvidence
from flags.gate.evidence import PartRole
from flags.gate.verdict import Check, Outcome
from tests.support.answer_pairs import DAYS, answer_pairs, judged, label_file, playbook_of

SIZE = 4_000
LAST_DAY = SIZE // DAYS
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[Any]


def numbers(seed: int = 5) -> tuple[Floats, Floats, Floats]:
    """Return true values, and a candidate that errs three quarters as much as the primary."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(100, 20, SIZE)
    return truth, truth + rng.normal(0, 8, SIZE), truth + rng.normal(0, 6, SIZE)


def prices(primary: Floats, candidate: Floats, **options: Any) -> Any:
    values = {"primary_score.price": primary, "candidate_score.price": candidate}
    return answer_pairs(values, **options)


def regions(share: float) -> Words:
    return np.where(np.random.default_rng(6).random(SIZE) < share, "EU", "US")


def found_by(pairs: Any, labels: Path | None, name: str, **playbook: Any) -> tuple[Decision, Check]:
    _, judgement = judged(pairs, labels, playbook_of(**playbook))
    checks = {each.name: each for each in judgement.verdict.checks}
    return judgement.verdict.decision, checks[name]


def test_numbers_that_are_wrong_in_one_segment_hold(tmp_path: Path) -> None:
    """Over all, the candidate errs less than the primary."""
    truth, primary, candidate = numbers()
    region = regions(0.03)
    candidate = candidate + np.where(region == "EU", 35, 0)
    pairs = prices(primary, candidate, **{"segment.region": region})
    decision, check = found_by(pairs, label_file(tmp_path / "l.csv", truth), "segment_difference")
    assert decision is Decision.HOLD
    assert (check.outcome, check.segment) == (Outcome.FAIL, "region=EU")
    assert "mean absolute error" in check.reason


def test_a_segment_that_the_playbook_does_not_check_is_left_out(tmp_path: Path) -> None:
    truth, primary, candidate = numbers()
    region = regions(0.03)
    candidate = candidate + np.where(region == "EU", 35, 0)
    pairs = prices(primary, candidate, **{"segment.region": region})
    labels = label_file(tmp_path / "labels.csv", truth)
    evidence, judgement = judged(pairs, labels, playbook_of(segments={"channel": {}}))
    assert "segment_difference" not in {each.name for each in judgement.verdict.checks}
    assert any(each.role is PartRole.SEGMENT for each in evidence.answers[0].parts)


def test_a_candidate_that_is_as_good_in_each_segment_advances(tmp_path: Path) -> None:
    truth, primary, candidate = numbers()
    pairs = prices(primary, candidate, **{"segment.region": regions(0.3)})
    decision, check = found_by(pairs, label_file(tmp_path / "l.csv", truth), "segment_difference")
    assert decision is Decision.ADVANCE
    assert check.outcome is Outcome.PASS


def test_the_parts_are_those_of_the_pairs() -> None:
    _, primary, candidate = numbers()
    region = regions(0.2).astype(object)
    region[:10] = None
    evidence, _ = judged(prices(primary, candidate, **{"segment.region": region}))
    parts = {each.name: each for each in evidence.answers[0].parts}
    assert parts["all"].pairs == SIZE
    assert parts["region=EU"].pairs == (region == "EU").sum()
    assert parts["region=(none)"].pairs == 10
    assert parts["last day"].pairs == LAST_DAY
    assert parts["last three days"].pairs == 3 * LAST_DAY
    chosen = region == "EU"
    difference = (candidate - primary)[chosen].sum()
    assert parts["region=EU"].sums["difference"] == pytest.approx(difference)


@pytest.mark.parametrize("labelled", [True, False])
def test_numbers_that_broke_a_day_ago_hold(tmp_path: Path, labelled: bool) -> None:
    truth, primary, candidate = numbers()
    candidate[-LAST_DAY:] += 25
    labels = None
    if labelled:
        truth[-LAST_DAY:] = np.nan  # not known yet
        labels = label_file(tmp_path / "labels.csv", truth)
    playbook = {"label_cut_off": "2d"}
    decision, check = found_by(prices(primary, candidate), labels, "recent_difference", **playbook)
    assert decision is Decision.HOLD
    assert (check.outcome, check.segment) == (Outcome.FAIL, "last day")


def test_labels_that_exist_only_where_the_candidate_is_good_excuse_nothing(tmp_path: Path) -> None:
    truth, primary, candidate = numbers()
    unseen = regions(0.2) == "EU"
    candidate = candidate + np.where(unseen, 50, 0)
    labels = label_file(tmp_path / "labels.csv", np.where(unseen, np.nan, truth))
    decision, check = found_by(prices(primary, candidate), labels, "unlabelled_difference")
    assert decision is Decision.HOLD
    assert check.outcome is Outcome.FAIL


def test_labels_of_a_random_half_speak_for_the_other_one(tmp_path: Path) -> None:
    """A better candidate is far from the primary, with and without a label."""
    truth, primary, _ = numbers()
    rng = np.random.default_rng(7)
    primary, candidate = primary + 10, truth + rng.normal(0, 1, SIZE)
    labels = label_file(tmp_path / "l.csv", np.where(rng.random(SIZE) < 0.5, truth, np.nan))
    decision, check = found_by(prices(primary, candidate), labels, "unlabelled_difference")
    assert decision is Decision.ADVANCE
    assert check.outcome is Outcome.PASS


def test_young_labels_that_speak_against_the_candidate_hold(tmp_path: Path) -> None:
    truth, primary, _ = numbers()
    candidate = truth + np.random.default_rng(8).normal(0, 14, SIZE)
    labels = label_file(tmp_path / "labels.csv", truth)
    playbook = {"label_cut_off": "14d"}
    decision, check = found_by(prices(primary, candidate), labels, "recent_difference", **playbook)
    assert decision is Decision.HOLD
    assert "by all labels, those of young pairs too" in check.reason
    _, counted = found_by(prices(primary, candidate), labels, "young_labels", **playbook)
    assert "4,000 labels of 4,000 pairs younger than label_cut_off (14d)" in counted.reason


def test_rare_and_enormous_errors_hold(tmp_path: Path) -> None:
    """Cut at four mean errors, one in two hundred is lost in the mean."""
    truth, primary, candidate = numbers()
    candidate[np.random.default_rng(9).random(SIZE) < 0.01] *= 100
    decision, check = found_by(
        prices(primary, candidate), label_file(tmp_path / "l.csv", truth), "gross_errors"
    )
    assert decision is Decision.HOLD
    assert check.outcome is Outcome.FAIL


def test_a_constant_primary_is_left_for_a_candidate_that_labels_show_to_be_better(
    tmp_path: Path,
) -> None:
    truth, _, candidate = numbers()
    labels = label_file(tmp_path / "labels.csv", truth)
    _, judgement = judged(prices(np.full(SIZE, 100.0), candidate), labels)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons


def test_the_page_shows_errors_by_segment_and_the_json_stays_small(tmp_path: Path) -> None:
    truth, primary, candidate = numbers()
    pairs = prices(primary, candidate, **{"segment.region": regions(0.3)})
    evidence, judgement = judged(pairs, label_file(tmp_path / "labels.csv", truth))
    page = render(evidence, judgement)
    for words in ("Mean error by segment and time", "region=EU", "Numbers of each side"):
        assert words in page
    assert "no threshold on both sides" not in page  # a number has none
    document = VerdictDocument.of(evidence, judgement).json()
    assert len(document) < 150_000
    found = json.loads(document)["evidence"]["answers"][0]
    assert "levels" not in found
    assert {each["role"] for each in found["parts"]} == {"whole", "recent", "segment", "labelled"}
    Draft202012Validator(schema()).validate(json.loads(document))


def species(primary: Words, candidate: Words, **options: Any) -> Any:
    values = {"primary_class.species": primary, "candidate_class.species": candidate}
    return answer_pairs(values, **options)


def test_a_rare_class_that_is_lost_holds_though_the_accuracy_is_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    truth = np.where(rng.random(SIZE) < 0.015, "owl", rng.choice(["cat", "dog", "fox"], SIZE))
    wrong = rng.random((2, SIZE)) < 0.1
    primary, candidate = (np.where(each, "cow", truth) for each in wrong)
    lost = (truth == "owl") & (rng.random(SIZE) < 0.8)
    mended = rng.choice(np.flatnonzero(wrong[1] & (truth != "owl")), lost.sum(), replace=False)
    candidate[lost], candidate[mended] = "cat", truth[mended]
    labels = label_file(tmp_path / "labels.csv", truth)
    decision, check = found_by(species(primary, candidate), labels, "class_recall_loss")
    assert decision is Decision.HOLD
    assert check.outcome is Outcome.FAIL
    assert check.n < 100  # fewer labels than a class needs to pass
    assert "'owl'" in check.reason


def test_two_rare_classes_that_are_swapped_hold_without_labels() -> None:
    """Both sides predict the same in 96 % of the pairs, and each class as often as before."""
    rng = np.random.default_rng(11)
    primary = rng.choice(["a", "b", "c", "d"], SIZE, p=[0.02, 0.02, 0.48, 0.48])
    candidate = np.where(primary == "a", "b", np.where(primary == "b", "a", primary))
    decision, check = found_by(species(primary, candidate), None, "class_overlap")
    assert decision is Decision.HOLD
    assert check.outcome is Outcome.FAIL


def test_a_class_that_no_label_names_may_be_said_less_often(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    truth = rng.choice(["cat", "dog"], SIZE)
    primary = np.where(rng.random(SIZE) < 0.05, "ghost", truth)
    labels = label_file(tmp_path / "labels.csv", truth)
    _, judgement = judged(species(primary, truth), labels)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons


def test_names_that_differ_in_case_are_told(tmp_path: Path) -> None:
    said = np.random.default_rng(13).choice(["Cat", "Dog"], SIZE)
    other = np.array([each.upper() for each in said])
    labels = label_file(tmp_path / "labels.csv", said)
    evidence, judgement = judged(species(said, other, rollout=10), labels)
    assert judgement.verdict.decision is Decision.ROLLBACK
    assert "'CAT' and 'Cat' differ in case or spaces only" in judgement.verdict.reasons[0]
    [found] = evidence.answers
    assert isinstance(found, CategoryEvidence)
    assert found.similar_names == (("CAT", "Cat"), ("DOG", "Dog"))


def test_labels_with_other_names_than_the_classes_hold(tmp_path: Path) -> None:
    """Both sides are wrong by them, and so the candidate would be no worse."""
    said = np.random.default_rng(14).choice(["cat", "dog"], SIZE)
    labels = label_file(tmp_path / "labels.csv", [each.upper() for each in said])
    decision, check = found_by(species(said, said), labels, "never_predicted_labels")
    assert decision is Decision.HOLD
    assert "say which classes they stand for" in check.reason


def test_classes_that_are_wrong_in_one_segment_hold(tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    truth = rng.choice(["cat", "dog", "fox"], SIZE)
    region = regions(0.04)
    primary, candidate = (np.where(rng.random(SIZE) < 0.1, "cow", truth) for _ in range(2))
    candidate = np.where((region == "EU") & (rng.random(SIZE) < 0.7), "cow", candidate)
    pairs = species(primary, candidate, **{"segment.region": region})
    decision, check = found_by(pairs, label_file(tmp_path / "l.csv", truth), "segment_difference")
    assert decision is Decision.HOLD
    assert check.segment == "region=EU"


def rankings(seed: int = 16) -> npt.NDArray[np.int64]:
    return np.argsort(np.random.default_rng(seed).random((SIZE, 60)), axis=1)[:, :10]


def listed(ids: npt.NDArray[np.int64]) -> list[str]:
    return ["|" + "".join(f"{each}|" for each in row) for row in ids]


def items(primary: npt.NDArray[np.int64], candidate: npt.NDArray[np.int64], **options: Any) -> Any:
    values = {
        "primary_ranking.items": listed(primary),
        "candidate_ranking.items": listed(candidate),
    }
    return answer_pairs(values, **options)


def test_an_item_that_nearly_every_list_shows_holds() -> None:
    """What both sides list is the same but for one item, so overlap does not show it."""
    primary = rankings()
    candidate = primary.copy()
    candidate[:, 9] = 900
    decision, check = found_by(items(primary, candidate), None, "item_exposure")
    assert decision is Decision.HOLD
    assert "'900' is in 100 % of the candidate's lists and 0 % of the primary's" in check.reason


def test_lists_that_have_nothing_in_common_in_one_segment_hold() -> None:
    primary, region = rankings(), regions(0.05)
    candidate = primary + np.where(region == "EU", 1_000, 0)[:, None]
    pairs = items(primary, candidate, **{"segment.region": region})
    decision, check = found_by(pairs, None, "segment_difference")
    assert decision is Decision.HOLD
    assert check.segment == "region=EU"
