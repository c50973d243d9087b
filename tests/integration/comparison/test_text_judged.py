"""Texts from pair files to the verdict: agreement, length, refusals, formats, preferences."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import pytest

from comparison.engines.tables import TablePairs
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.pairs.compaction.runs import compact
from flags import Text
from flags.gate.checks.text import TextEvidence
from flags.gate.verdict import Check, Decision, Outcome
from flags.playbook.model import Playbook
from tests.support.counting import aggregate
from tests.support.pair_files import BEGIN, FLAG
from tests.support.text_pairs import CountedTexts

PAIRS = 600
END = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(milliseconds=10 * PAIRS + 100)
DECLARED = Text("answer", refusal="cannot", formats={"json": {"type": "object"}})
STEPS = [{"stage": "canary", "rollout": 10, "hold": "1s", "min_pairs": 100}]
PLAYBOOK = Playbook.model_validate(
    {"flag": FLAG, "steps": [{**STEPS[0], "min_labels": 0}], "warm_up": 0}
)
DEMANDING = Playbook.model_validate({"flag": FLAG, "steps": [{**STEPS[0], "min_labels": 1}]})


def written(folder: Path, refusing: float, seed: int = 1) -> list[tuple[str, str]]:
    """Write pairs whose candidate refuses so often, and the primary in 5 of 100."""
    rng, texts = random.Random(seed), []
    file = CountedTexts(folder)
    file.start()
    for number in range(PAIRS):
        primary = "I cannot help." if rng.random() < 0.05 else f'{{"number": {number}}}'
        candidate = "I cannot help." if rng.random() < refusing else f'{{"Number": {number % 2}}}'
        if rng.random() < 0.3:
            candidate = primary
        file.texts(primary, candidate, DECLARED)
        texts.append((primary, candidate))
    file.stop()
    return texts


def judged(
    folder: Path, plan: Playbook = PLAYBOOK, preferences: Path | None = None
) -> tuple[TextEvidence, Decision, dict[str, Check]]:
    evidence, judgement = judge(
        FlagPairs.at(folder, FLAG),
        plan,
        now=END,
        window=TimeWindow(),
        additions=Additions.read(None, None, preferences=preferences),
    )
    [found] = evidence.answers
    assert isinstance(found, TextEvidence)
    checks = {each.subject or each.name: each for each in judgement.verdict.checks}
    return found, judgement.verdict.decision, checks


def test_the_figures_are_those_of_the_texts(tmp_path: Path) -> None:
    texts = written(tmp_path, 0.1)

    found, _, _ = judged(tmp_path)

    assert found.paired == PAIRS
    assert found.exact_match.count == sum(one == other for one, other in texts)
    assert found.normalised_match.count == sum(one.lower() == other.lower() for one, other in texts)
    for place, side in enumerate(("primary", "candidate")):
        mean = sum(len(pair[place]) for pair in texts) / PAIRS
        assert found.characters[side] == pytest.approx(mean)
    refused = Counter(("cannot" in one, "cannot" in other) for one, other in texts)
    for rule in ("refusal", "json"):  # a refusal is not JSON, and all else is
        table = found.rules[rule]
        assert refused == {
            (True, True): table.both,
            (True, False): table.primary_only,
            (False, True): table.candidate_only,
            (False, False): table.neither,
        }


@pytest.mark.parametrize(
    ("refusing", "decision"), [(0.9, Decision.ROLLBACK), (0.35, Decision.HOLD)]
)
def test_refusals_roll_back_at_once_where_there_are_many_more(
    tmp_path: Path, refusing: float, decision: Decision
) -> None:
    written(tmp_path, refusing)

    _, decided, checks = judged(tmp_path)

    assert decided is decision
    assert checks["refusal"].rolls_back
    assert "refuses" in checks["refusal"].reason
    later = "each minute counted once does not show it" in checks["refusal"].reason
    assert later is (decision is Decision.HOLD)


def test_a_candidate_that_keeps_to_the_formats_passes_them(tmp_path: Path) -> None:
    written(tmp_path, 0.0)

    _, _, checks = judged(tmp_path)

    assert [checks[name].outcome for name in ("refusal", "json", "text_length")] == [
        Outcome.PASS
    ] * 3


def test_where_labels_are_demanded_preferences_are_for_texts(tmp_path: Path) -> None:
    written(tmp_path / "pairs", 0.0)
    _, decision, checks = judged(tmp_path / "pairs", DEMANDING)
    assert (decision, checks["win_rate"].outcome) == (Decision.HOLD, Outcome.INCONCLUSIVE)
    assert "bentoml migration judge" in checks["win_rate"].reason
    assert "labels" not in checks

    table = tmp_path / "preferences.csv"
    rows = (f"worker-1-request-{number},answer,{number % 3 != 0}" for number in range(1, 400))
    said = "\n".join(rows).replace("True", "candidate").replace("False", "primary")
    table.write_text(f"request_id,output,preference\n{said}\n")
    _, _, checks = judged(tmp_path / "pairs", DEMANDING, table)

    assert checks["win_rate"].outcome is Outcome.PASS
    assert checks["win_rate"].figure == pytest.approx(2 / 3, abs=0.01)


def test_without_labels_and_rules_nothing_shows_that_texts_are_as_good(tmp_path: Path) -> None:
    file = CountedTexts(tmp_path)
    file.start()
    for number in range(PAIRS):
        file.texts(f"text {number}", f"Text {number}")
    file.stop()
    plan = Playbook.model_validate({"flag": FLAG, "labels": "none", "steps": STEPS})

    _, decision, checks = judged(tmp_path, plan)

    assert decision is Decision.HOLD
    assert "no rule was declared" in checks["win_rate"].reason


def test_compacted_pairs_and_another_engine_count_the_same(tmp_path: Path) -> None:
    written(tmp_path / "pairs", 0.2)
    compact(tmp_path / "pairs", tmp_path / "compacted")

    found = judged(tmp_path / "pairs")[0]
    assert judged(tmp_path / "compacted")[0] == found

    files = str(tmp_path / "compacted/pairs/flag=*/date=*/*.parquet")
    polars = ibis.polars.connect().read_parquet(files, hive_partitioning=True)
    window = {"flag": FLAG, "rollout": 10.0, "since": END - timedelta(days=1), "until": END}
    sources = (FlagPairs.at(tmp_path / "pairs", FLAG).source, TablePairs(polars, "pairs"))
    one, other = (aggregate(source, **window).answers[0] for source in sources)
    assert one.sums == other.sums  # type: ignore[attr-defined]
    key = ["exact", "normal", "primary_remarks", "candidate_remarks"]
    frames = [each.cells.sort_values(key).reset_index(drop=True) for each in (one, other)]  # type: ignore[attr-defined]
    assert frames[0].astype(str).equals(frames[1].astype(str))
