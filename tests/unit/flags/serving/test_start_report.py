"""The log lines of a service at its start: the state of the migration, and warnings."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bentoml
import pytest
from pydantic import BaseModel

from flags import Number, Text
from flags.export.worker_count import CountFile
from flags.monitoring.worker_state import WorkerFlag, WorkerRegistry
from flags.pairing.unit import Units, default_key
from flags.serving.api_contract import shared_apis
from flags.serving.plan import Plan, common_reading, planned_apis
from flags.serving.settings import Settings
from flags.serving.sides.placement import Placement
from flags.serving.start_report import start_lines, start_problems
from tests.support.worker_states import worker_flag


class Answer(BaseModel):
    probability: float
    words: str


@bentoml.service
class V1:
    @bentoml.api
    def predict(self, amount: float, country: str) -> Answer:
        return Answer(probability=amount, words=country)


@bentoml.service
class V2:
    @bentoml.api
    def predict(self, amount: float, country: str) -> Answer:
        return Answer(probability=amount, words=country)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAIRS_DIR", str(tmp_path / "pairs"))
    (tmp_path / "pairs" / ".workers").mkdir(parents=True)
    return tmp_path / "pairs"


def plan(
    score: Any = "probability",
    threshold: float | None = 0.5,
    segments: Any = None,
    features: Any = None,
) -> Plan:
    settings = Settings()
    reading = common_reading(score, threshold, segments, features)
    return Plan(
        flag="a-v2",
        primary=V1,
        candidate=V2,
        apis=planned_apis(shared_apis(V1, V2), reading, {}),
        placement=Placement.EMBEDDED,
        settings=settings,
        registry=WorkerRegistry(settings.pairs_dir, "Own"),
        units=Units.of(None, default_key("Own")),
    )


def problems(plan: Plan) -> list[str]:
    return list(start_problems(plan, "Own", datetime.now(UTC)))


def test_four_lines_say_where_the_migration_stands(pairs: Path) -> None:
    text = Text("words", record=True, prompt="country")
    made = plan(
        score={"probability": "probability", "words": text},
        segments=["country"],
        features=["amount"],
    )
    seen = worker_flag(environment="production")
    assert start_lines(made, seen) == (
        "flag a-v2: on, at 10 %, from http://127.0.0.1:4242/api (production)",
        f"pairs are written to {pairs}",
        "live page: /migration",
        "recorded of inputs: segments country; features amount; the prompt of words",
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (worker_flag(enabled=False), "off, at 10 %, from http://127.0.0.1:4242/api"),
        (worker_flag(rollout=None), "on, by several strategies, from http://127.0.0.1:4242/api"),
        (
            worker_flag(enabled=None, rollout=None),
            "not there, from http://127.0.0.1:4242/api: the primary answers",
        ),
        (replace(worker_flag(), shows_flag=False), "decided by the provider unleash"),
    ],
)
def test_the_flag_is_told_as_the_worker_sees_it(pairs: Path, seen: WorkerFlag, words: str) -> None:
    assert start_lines(plan(), seen)[0] == f"flag a-v2: {words}"


def test_a_page_that_is_off_is_told_as_off(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATION_ENDPOINTS", "false")
    assert start_lines(plan(), worker_flag())[2] == "live page: off (MIGRATION_ENDPOINTS)"


def test_a_service_as_it_should_be_has_no_problem(pairs: Path) -> None:
    CountFile(pairs, "own", "Own").write(1, 0)
    assert problems(plan()) == []


def test_a_folder_that_another_running_service_writes_to_is_a_problem(pairs: Path) -> None:
    CountFile(pairs, "closed", "Ended").write(1, 0, closed=True)
    CountFile(pairs, "other", "Other").write(1, 0)
    (problem,) = problems(plan())
    assert problem.startswith(f"{pairs} also gets the pairs of Other: ")
    later = datetime.fromtimestamp(time.time() + 120, UTC)
    assert list(start_problems(plan(), "Own", later)) == []


def test_a_number_without_a_threshold_is_a_problem_unless_it_is_declared_as_one(
    pairs: Path,
) -> None:
    (problem,) = problems(plan(threshold=None))
    assert problem == (
        "probability of predict has no threshold, so no alarm is compared: give "
        "migrate(threshold=...), or declare Number('probability') if nothing is decided"
    )
    assert problems(plan(score=Number("probability"), threshold=None)) == []


def test_answers_that_are_not_compared_are_a_problem(pairs: Path) -> None:
    (problem,) = problems(plan(score=None, threshold=None))
    assert problem.startswith("nothing of the answers is compared: ")
