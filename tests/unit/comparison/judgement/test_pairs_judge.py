"""Judging the step that a flag is at by the pairs made since."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comparison.judgement.pairs_judge import PairsJudge
from flags.export import attributes
from flags.gate import Decision
from flags.operate.history import Run, Setting
from flags.playbook.model import Playbook
from tests.support.pair_files import BEGIN, FLAG, PairFile, Scored

FIRST = datetime.fromtimestamp(BEGIN / 1e9, UTC)
PAIRS = 3_000
LAST = FIRST + timedelta(milliseconds=10 * PAIRS)
LOOSE = {"failure_rate": 0.01, "alarm_ratio": 1.2}
PLAN = Playbook.model_validate(
    {
        "flag": FLAG,
        "gate": {"advance": LOOSE},
        "steps": [{"stage": "shadow", "rollout": 0, "hold": "20s", "min_pairs": 1000}],
    }
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold the pairs of thirty seconds of shadow that agree."""
    folder = tmp_path_factory.mktemp("pairs")
    file = PairFile(folder)
    file.start()
    for number in range(PAIRS):
        score = 0.9 if number % 5 == 0 else 0.1
        file.pair(
            Scored(score, model="fraud:1"),
            Scored(score, model="fraud:2"),
            active="primary",
            changes={attributes.ROLLOUT: 0.0},
        )
    return folder


def run(since: datetime) -> Run:
    setting = Setting(True, 0, "requestId", ("a strategy",))
    return Run(setting, since, None, "ada", by_token=False, how="created", event=1)


def test_a_flag_that_was_there_long_before_the_service_is_held_from_its_first_pair(
    pairs: Path,
) -> None:
    judge = PairsJudge(pairs)
    created = run(FIRST - timedelta(days=9))

    early, judgement = judge.judged(PLAN, created, FIRST + timedelta(seconds=12))
    assert early.window.held == pytest.approx(12, abs=0.1)
    assert judgement.verdict.decision is Decision.HOLD
    assert any("held for 12s of 20s" in reason for reason in judgement.verdict.reasons)

    _, judgement = judge.judged(PLAN, created, LAST)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons


def test_pairs_from_before_the_flag_was_as_it_is_do_not_count(pairs: Path) -> None:
    evidence, judgement = PairsJudge(pairs).judged(PLAN, run(FIRST + timedelta(seconds=20)), LAST)
    assert evidence.window.pairs == pytest.approx(1_000, abs=2)
    assert judgement.verdict.decision is Decision.HOLD
