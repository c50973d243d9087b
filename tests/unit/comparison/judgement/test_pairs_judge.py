"""Judging the present step of a flag by the pairs since it began."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comparison.judgement.pairs_judge import PairsJudge
from flags.export import attributes
from flags.gate import Decision
from flags.gate.alarm_states import AlarmReading
from flags.operate.history import Run
from flags.operate.setting import Setting
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
    """Return a folder with thirty seconds of shadow pairs that agree."""
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
    assert early.window.age == pytest.approx(12, abs=0.1)
    assert judgement.verdict.decision is Decision.HOLD
    assert any("held for 12s of 20s" in reason for reason in judgement.verdict.reasons)

    _, judgement = judge.judged(PLAN, created, LAST)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons


def test_pairs_from_before_the_flag_was_as_it_is_do_not_count(pairs: Path) -> None:
    evidence, judgement = PairsJudge(pairs).judged(PLAN, run(FIRST + timedelta(seconds=20)), LAST)
    assert evidence.window.pairs == pytest.approx(1_000, abs=2)
    assert judgement.verdict.decision is Decision.HOLD


# --- operational alarms ---------------------------------------------------------------------------

FREEZE = {"webhook": "http://change.example", "looks": 2, "lasting": "0s"}
RAMP = {"stage": "ramp", "rollout": 50, "hold": "20s", "min_pairs": 1000}


def watched(steps: Sequence[object]) -> Playbook:
    return Playbook.model_validate(
        {"flag": FLAG, "gate": {"advance": LOOSE}, "alarms": {"freeze": FREEZE}, "steps": steps}
    )


class Alarm:
    """A webhook with a given answer; it keeps all its readings."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.readings: list[AlarmReading] = []

    def __call__(self, plan: Playbook, now: datetime) -> Sequence[AlarmReading]:
        source = plan.alarms["freeze"].source
        self.readings.append(AlarmReading("freeze", source, now, answer=self.answer))  # type: ignore[arg-type]
        return self.readings


def test_a_firing_alarm_holds_what_the_pairs_alone_would_let_go(pairs: Path) -> None:
    plan, begun = watched([PLAN.steps[0].model_dump()]), run(FIRST)
    quiet, firing = Alarm("pass"), Alarm("hold")
    assert PairsJudge(pairs, ask_alarms=quiet)(plan, begun, LAST).verdict.decision is (  # type: ignore[union-attr]
        Decision.ADVANCE
    )
    evidence, judgement = PairsJudge(pairs, ask_alarms=firing).judged(plan, begun, LAST)
    assert judgement.verdict.decision is Decision.HOLD
    assert judgement.verdict.reasons == ("operational alarm freeze: answers hold",)
    assert [each.looks for each in evidence.operational_alarms[0].periods] == [1]


def test_without_any_pair_a_lasting_alarm_still_rolls_back(tmp_path: Path) -> None:
    plan, alarm = watched([RAMP]), Alarm("rollback")
    begun = replace(run(FIRST), setting=Setting(True, 50, "requestId", ("a strategy",)))
    judge = PairsJudge(tmp_path, ask_alarms=alarm)
    first = judge(plan, begun, FIRST + timedelta(seconds=5))
    assert (first.verdict, first.step) == (None, plan.steps[0])
    second = judge(plan, begun, FIRST + timedelta(seconds=9))
    assert second.verdict is not None
    assert second.verdict.decision is Decision.ROLLBACK
    assert second.verdict.reasons == (
        "operational alarm freeze: answers rollback, at 2 looks in a row within 4s",
    )


def test_looks_before_the_flag_was_as_it_is_do_not_roll_it_back(tmp_path: Path) -> None:
    plan, alarm = watched([RAMP]), Alarm("rollback")
    begun = replace(run(FIRST), setting=Setting(True, 50, "requestId", ("a strategy",)))
    judge = PairsJudge(tmp_path, ask_alarms=alarm)
    for seconds in (-9, -5, 5):
        assert judge(plan, begun, FIRST + timedelta(seconds=seconds)).verdict is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"request_id,metric,value\nr1,complaint,1\nr2,comp", "line 3: 2 values, 3 in the heading"),
        (b"PAR1 half a file", "expected CSV with a heading, or Parquet"),
        (None, "No such file"),
    ],
    ids=["half a line", "half a Parquet file", "not there"],
)
def test_outcomes_that_are_being_written_are_what_is_missing_until_the_next_look(
    pairs: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    outcomes = tmp_path / "outcomes.csv"
    if content is not None:
        outcomes.write_bytes(content)
    found = PairsJudge(pairs, outcomes=outcomes)(PLAN, run(FIRST), LAST)
    assert found.verdict is None
    assert said in (found.missing or "")
