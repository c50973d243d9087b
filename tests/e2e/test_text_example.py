"""A text service served, migrated and judged for real: examples/text_answers."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from flags.cli import migration
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

TOPICS = ("order", "delivery", "invoice", "card", "returns", "account", "parts", "parcel", "code")
ASKED = 720
MAIL = "jane.doe@example.org"
PLAYBOOK = """
flag: help-v2
warm_up: 0
gate:
  advance: {text_length: 0.9, text_rule: 0.2, failure_rate: 0.1, fast_enough: 60s}
  rollback: {text_rule: 0.3, failure_rate: 0.2, failure_rate_now: 0.3}
steps:
  - {stage: shadow, rollout: 0, hold: 0s, min_pairs: 50, min_labels: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold the pairs of a service that was asked ASKED questions, its log and its flag."""
    folder = tmp_path_factory.mktemp("texts")
    migrate_command("file", str(folder / "flags.json"), "--flag", "help-v2", "--rollout", "0")
    settings = environment(
        folder / "store",
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        CANDIDATE_TIMEOUT="60",  # none of these tests is about speed
        SHADOW_TIMEOUT="60",
    )
    with (
        Serving(
            "examples.text_answers.service:Help",
            environment=settings,
            log=folder / "service.log",
            folder=ROOT,
            start_within=180,
        ) as serving,
        httpx.Client(base_url=serving.url, timeout=60) as client,
    ):
        with ThreadPoolExecutor(8) as askers:
            for answer in askers.map(lambda number: ask(client, number), range(ASKED)):
                assert answer.status_code == 200
                assert answer.headers["X-Model-Side"] == "primary"
        assert eventually(lambda: recorded(folder) >= ASKED, 60)
    return folder


def ask(client: httpx.Client, number: int) -> httpx.Response:
    first, second = TOPICS[number % 9], TOPICS[number // 9 % 9]
    question = f"Is the {first} before the {second}? My mail is {MAIL}."
    return client.post("/answer", json={"question": question})


def recorded(folder: Path) -> int:
    files = (folder / "pairs").glob("*.jsonl")
    return sum(file.read_text().count('"migration.pair"') for file in files)


def migrate_command(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(migration, arguments)


def test_texts_are_recorded_redacted_and_are_in_no_log(folder: Path) -> None:
    written = "".join(file.read_text() for file in (folder / "pairs").glob("*.jsonl"))

    assert "My mail is [mail]" in written
    assert "jane.doe" not in written
    assert "working days" in written
    log = (folder / "service.log").read_text()
    assert "working days" not in log
    assert "jane.doe" not in log


def test_the_better_model_is_advanced_by_its_preferences(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(ROOT)
    (folder / "playbook.yaml").write_text(PLAYBOOK)
    now = datetime.now(UTC).isoformat()
    gate = ["gate", "pairs", "--playbook", "playbook.yaml", "--until", now, "--json", "-"]

    without = json.loads(migrate_command(*gate).output)
    asked = migrate_command("judge", "pairs", "--judge", "examples.text_answers.judge:prefer")
    with_them = json.loads(migrate_command(*gate, "--preferences", "preferences.csv").output)

    assert asked.exit_code == 0, asked.output
    assert without["decision"] == "HOLD"
    assert any("bentoml migration judge" in reason for reason in without["reasons"])
    assert with_them["decision"] == "ADVANCE", with_them["reasons"]
    checks = {each["name"]: each for each in with_them["checks"]}
    assert checks["win_rate"]["figure"] > 0.6
    assert checks["text_rule"]["subject"] == "refusal"
    assert MAIL not in json.dumps(with_them)
    assert "working days" not in json.dumps(with_them)  # a verdict holds no texts
