"""Rankings judged as a whole: from pairs and labels to the verdict."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console
from sklearn.metrics import ndcg_score

from comparison.errors import RelevanceUnfitError
from comparison.report.html.page import render
from comparison.report.terminal.verdict import print_verdict
from flags.gate import Decision
from flags.gate.checks.ranking import RankingEvidence
from tests.support.answer_pairs import answer_pairs, judged, label_file, playbook_of

ITEMS, DEPTH, SIZE = 40, 10, 3_000
Lists = npt.NDArray[np.int64]


def relevances(size: int = SIZE, seed: int = 3) -> npt.NDArray[np.int64]:
    """Return a grade of each item for each request: mostly 0, at most 3."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.integers(0, 14, (size, ITEMS)) - 10, 0)


def ranked(grades: npt.NDArray[np.int64], noise: float, seed: int) -> Lists:
    """Return what a side lists that knows the grades but for some noise."""
    rng = np.random.default_rng(seed)
    return np.argsort(-(grades + rng.normal(0, noise, grades.shape)), axis=1)[:, :DEPTH]


def texts(lists: Any) -> list[str]:
    return ["|" + "".join(f"{each}|" for each in ids) for ids in lists]


def labels_of(path: Path, grades: npt.NDArray[np.int64]) -> Path:
    rows = ["|".join(f"{item}={row[item]}" for item in np.flatnonzero(row)) for row in grades]
    return label_file(path, rows)


def pairs_of(primary: Any, candidate: Any, **options: Any) -> Any:
    values = {"primary_ranking.items": texts(primary), "candidate_ranking.items": texts(candidate)}
    return answer_pairs(values, **options)


def ranking(evidence: Any) -> RankingEvidence:
    [found] = evidence.answers
    assert isinstance(found, RankingEvidence)
    return found


def outcomes(judgement: Any) -> dict[str, str]:
    return {each.name: each.outcome.value for each in judgement.verdict.checks}


def rank_biased_overlap(one: Any, other: Any, persistence: float) -> float:
    """Sum its definition to a depth that leaves nothing; the agreement goes on as it ends."""
    longer = max(len(one), len(other))
    at = [len({*one[:d]} & {*other[:d]}) / d for d in range(1, longer + 1)]
    depths = np.arange(1, 20_000)
    agreement = np.array(at)[np.minimum(depths, longer) - 1]
    return float(((1 - persistence) * persistence ** (depths - 1) * agreement).sum())


@pytest.mark.parametrize("graded", [True, False])
def test_the_same_rankings_advance_and_every_figure_is_that_of_the_definition(
    tmp_path: Path, graded: bool
) -> None:
    grades = relevances() if graded else np.minimum(relevances(), 1)
    primary, candidate = ranked(grades, 1.0, 1), ranked(grades, 1.0, 2)
    labels = labels_of(tmp_path / "labels.csv", grades)
    evidence, judgement = judged(pairs_of(primary, primary), labels)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons
    found = ranking(evidence)
    assert found.overlap == 1
    assert found.rank_biased_overlap == pytest.approx(1)

    evidence, _ = judged(pairs_of(primary, candidate), labels)
    found = ranking(evidence)
    shared = [len({*a} & {*b}) / DEPTH for a, b in zip(primary, candidate, strict=True)]
    assert found.overlap == pytest.approx(np.mean(shared))
    orders = [rank_biased_overlap(a, b, 0.9) for a, b in zip(primary, candidate, strict=True)]
    assert found.persistence == pytest.approx(0.9)
    assert found.rank_biased_overlap == pytest.approx(np.mean(orders))
    some = grades.any(axis=1)
    for quality, lists in ((found.primary, primary), (found.candidate, candidate)):
        scores = np.zeros(grades.shape)
        np.put_along_axis(scores, lists, np.arange(DEPTH, 0, -1.0), axis=1)
        assert quality is not None
        expected = ndcg_score(grades[some], scores[some], k=DEPTH)
        assert quality.ndcg == pytest.approx(expected)
        gains = np.take_along_axis(grades, lists, axis=1)[some] > 0
        first = np.where(gains.any(axis=1), 1 / (gains.argmax(axis=1) + 1), 0)
        assert quality.reciprocal_rank == pytest.approx(first.mean())
        assert quality.found.count == gains.any(axis=1).sum()


def test_lists_of_any_length_have_the_overlap_of_the_definition() -> None:
    rng = np.random.default_rng(5)
    sides = [
        [rng.permutation(12)[: rng.integers(0, 8)].tolist() for _ in range(500)] for _ in range(2)
    ]
    playbook = playbook_of(outputs={"items": {"persistence": 0.8}})
    found = ranking(judged(pairs_of(*sides), playbook=playbook)[0])
    expected, shared = [], []
    for one, other in zip(*sides, strict=True):
        if not one and not other:
            expected.append(1.0)
            shared.append(1.0)
        else:
            expected.append(rank_biased_overlap(one, other, 0.8))
            shared.append(len({*one} & {*other}) / max(len(one), len(other)))
    assert found.rank_biased_overlap == pytest.approx(np.mean(expected))
    assert found.overlap == pytest.approx(np.mean(shared))
    for side, lists in zip(("primary", "candidate"), sides, strict=True):
        assert found.empty[side].count == sum(not ids for ids in lists)
        assert found.distinct_items[side] == len({each for ids in lists for each in ids})


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 10])
def test_a_reversed_ranking_holds_at_any_depth(depth: int) -> None:
    primary = ranked(relevances(), 1.0, 1)[:, :depth]
    other = primary[:, ::-1] if depth > 1 else (primary + 1) % ITEMS
    _, judgement = judged(pairs_of(primary, other, rollout=10))
    assert judgement.verdict.decision is Decision.HOLD
    assert outcomes(judgement)["rank_biased_overlap"] == "fail"


def test_a_random_order_of_the_same_items_and_random_items_hold() -> None:
    rng = np.random.default_rng(2)
    primary = ranked(relevances(), 1.0, 1)
    for other in (rng.permuted(primary, axis=1), rng.permuted(primary + ITEMS * 9, axis=1)):
        _, judgement = judged(pairs_of(primary, other))
        assert judgement.verdict.decision is Decision.HOLD
        assert outcomes(judgement)["rank_biased_overlap"] == "fail"


def test_a_better_ranking_advances_by_labels_whatever_it_has_in_common(tmp_path: Path) -> None:
    grades = relevances()
    labels = labels_of(tmp_path / "labels.csv", grades)
    pairs = pairs_of(ranked(grades, 3.0, 1), ranked(grades, 0.5, 2), rollout=10)
    evidence, judgement = judged(pairs, labels)
    assert ranking(evidence).overlap < 0.5  # type: ignore[operator]
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons


def test_a_worse_ranking_rolls_back_by_labels(tmp_path: Path) -> None:
    grades = relevances()
    labels = labels_of(tmp_path / "labels.csv", grades)
    pairs = pairs_of(ranked(grades, 0.5, 1), ranked(grades, 3.0, 2), rollout=10)
    evidence, judgement = judged(pairs, labels)
    assert judgement.verdict.decision is Decision.ROLLBACK
    assert outcomes(judgement)["ndcg_loss"] == "fail"
    page = render(evidence, judgement)
    terminal = Console(file=io.StringIO(), width=120)
    print_verdict(evidence, judgement, terminal)
    printed = terminal.file.getvalue()  # type: ignore[attr-defined]
    for words in ("Ranking: items", "nDCG at 10", "mean reciprocal rank"):
        assert words in page
        assert words in printed
    assert len(printed.splitlines()) < 60


def test_labels_that_come_from_what_was_shown_condemn_nobody(tmp_path: Path) -> None:
    """A caller chooses one of the items shown: the other side seems blind to it.

    Two equally good sides, at 10 %: nine of ten labels are the primary's.
    """
    grades = relevances()
    sides = ranked(grades, 1.0, 1), ranked(grades, 1.0, 2)
    pairs = pairs_of(*sides, rollout=10)
    shown = np.where((pairs["served"] == "candidate").to_numpy()[:, None], sides[1], sides[0])
    rng = np.random.default_rng(6)
    chosen = shown[np.arange(SIZE), rng.integers(0, DEPTH, SIZE)]
    evidence, judgement = judged(pairs, label_file(tmp_path / "labels.csv", chosen))
    quality = {each.served: each for each in ranking(evidence).by_served}
    assert quality["primary"].candidate < quality["primary"].primary - 0.1
    assert quality["candidate"].primary < quality["candidate"].candidate - 0.1
    assert judgement.verdict.decision is Decision.HOLD


def test_a_candidate_that_lists_nothing_rolls_back() -> None:
    primary = ranked(relevances(), 1.0, 1).tolist()
    candidate = [[] if number % 3 == 0 else ids for number, ids in enumerate(primary)]
    _, judgement = judged(pairs_of(primary, candidate, rollout=10))
    assert judgement.verdict.decision is Decision.ROLLBACK
    assert outcomes(judgement)["empty_rankings"] == "fail"


def test_bursts_of_one_customer_prove_nothing(tmp_path: Path) -> None:
    """Ten customers send three hundred alike requests each."""
    grades = np.repeat(relevances(10), SIZE // 10, axis=0)
    worse = np.repeat(np.arange(10) < 5, SIZE // 10)
    best, worst = np.argsort(-grades)[:, :DEPTH], np.argsort(grades)[:, :DEPTH]
    candidate = np.where(worse[:, None], worst, best)
    labels = labels_of(tmp_path / "labels.csv", grades)
    units = np.repeat([f"{number:016x}" for number in range(10)], SIZE // 10)
    pairs = pairs_of(best, candidate, rollout=10, unit=units)
    assert outcomes(judged(pairs, labels)[1])["ndcg_loss"] == "inconclusive"
    assert outcomes(judged(pairs.drop(columns=["unit"]), labels)[1])["ndcg_loss"] == "fail"


def test_a_group_that_is_shown_more_often_holds_even_where_labels_show_relevance(
    tmp_path: Path,
) -> None:
    grades = relevances()
    primary, candidate = ranked(grades, 1.0, 1), ranked(grades, 1.0, 2)
    own = ["|a||b|" * (DEPTH // 2)] * SIZE
    other = [("|a||a||a||b|" * DEPTH)[: 3 * DEPTH]] * SIZE
    pairs = pairs_of(primary, primary).assign(
        **{"primary_groups.items": own, "candidate_groups.items": other}
    )
    evidence, judgement = judged(pairs, labels_of(tmp_path / "labels.csv", grades))
    assert outcomes(judgement)["ndcg_loss"] == "pass"
    assert outcomes(judgement)["exposure_shift"] == "fail"
    assert judgement.verdict.decision is Decision.HOLD
    groups = {each.name: each for each in ranking(evidence).groups}
    assert groups["a"].primary == SIZE * DEPTH / 2
    assert groups["a"].candidate == SIZE * other[0].count("|a|")
    assert candidate.shape == primary.shape


def test_items_that_one_side_never_lists_are_counted() -> None:
    primary = [[1, 2, 3, 4]] * 50 + [[1, 2, 3, 5]] * 50
    candidate = [[1, 2, 3, 6]] * 100
    found = ranking(judged(pairs_of(primary, candidate))[0])
    assert (found.no_longer_shown.count, found.no_longer_shown.total) == (100, 400)
    assert (found.newly_shown.count, found.newly_shown.total) == (100, 400)
    assert found.items_for_half == {"primary": 2, "candidate": 2}
    [most, *_more] = found.items
    assert (most.name, most.primary, most.candidate) == ("6", 0, 100)


def test_labels_that_are_not_grades_are_refused(tmp_path: Path) -> None:
    pairs = pairs_of([[1, 2]] * 100, [[1, 2]] * 100)
    with pytest.raises(RelevanceUnfitError, match="the grade 'high', which is not a number"):
        judged(pairs, label_file(tmp_path / "labels.csv", ["1=high|2=3"] * 100))
