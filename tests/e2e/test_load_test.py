"""The load test moves the flag, judges every answer and matches every pair."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flags.unleash.flags_file import write_flags_file
from load_tests.flag_plan import Move, PlanError, parse
from load_tests.shapes import NAMES, users_at
from service.serving import Serving, free_port
from tests.support.fraud_store import environment, trained_store
from tests.support.paths import ROOT


@dataclass(frozen=True)
class Service:
    url: str
    flags: Path
    pairs: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    home, flags, pairs = folder / "bentoml", folder / "flags.json", folder / "pairs"
    trained_store(tmp_path_factory, home)
    write_flags_file(flags, "fraud-detector-v2", 0)
    settings = {"FLAGS_FILE": str(flags), "PAIRS_DIR": str(pairs), "SHADOW_CONCURRENCY": "256"}
    with Serving(
        "service.app:FraudDetector",
        environment={**environment(home), **settings},
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        yield Service(serving.url, flags, pairs)


def locust(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--host", url),
            *("--headless", "--only-summary", "--users", "6", "--spawn-rate", "6", *arguments),
        ],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "UNLEASH" not in name},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.slow
def test_a_distributed_load_test_follows_the_flag_and_finds_every_pair(
    service: Service, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    plan = ("--flag-plan", "0:0,6:100,14:off", "--flags-file", str(service.flags), "--settles", "4")
    places = ("--pairs", str(service.pairs), "--html", str(report))
    done = locust(service.url, "--processes", "2", "--run-time", "20s", *plan, *places)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.search(r"^answers (\d+) \(candidate (\d+), primary (\d+)\)", done.stdout, re.M)
    assert said, done.stdout
    answers, candidate, primary = map(int, said.groups())
    assert candidate + primary == answers
    assert candidate > 0 < primary
    last = r"^wrong-side answers 0 of [1-9]\d* judged, answers without a pair 0$"
    assert re.search(last, done.stdout, re.M), done.stdout
    assert "/predict (retry)" in report.read_text()


@pytest.mark.slow
def test_answers_of_the_wrong_side_fail_the_load_test(service: Service, tmp_path: Path) -> None:
    write_flags_file(service.flags, "fraud-detector-v2", 0)
    elsewhere = tmp_path / "elsewhere.json"  # the service does not read what the plan moves
    plan = ("--flag-plan", "0:100", "--flags-file", str(elsewhere), "--settles", "2.5")
    done = locust(service.url, "--run-time", "6s", *plan)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^  wrong side: \S+: primary, not candidate$", done.stdout, re.M)


def test_failed_requests_fail_the_load_test() -> None:
    done = locust(f"http://127.0.0.1:{free_port()}", "--run-time", "3s")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^answers 0 \(\), failed requests [1-9]", done.stdout, re.M)


def test_a_plan_that_cannot_be_carried_out_is_refused_before_any_load() -> None:
    done = locust("http://127.0.0.1:9", "--run-time", "3s", "--flag-plan", "0:10")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "--flag-plan needs --flags-file, or UNLEASH_URL to be set" in done.stderr


def test_a_plan_is_seconds_and_rollouts_in_order() -> None:
    assert parse("0:0,30:10,170.5:off") == (Move(0, 0), Move(30, 10), Move(170.5, None))
    for bad in ("", "10", "0:101", "0:ten", "5:10,5:20", "9:10,5:20"):
        with pytest.raises(PlanError, match="--flag-plan"):
            parse(bad)


@pytest.mark.parametrize("shape", NAMES)
def test_a_shape_has_at_least_one_user_and_never_more_than_all(shape: str) -> None:
    counts = [users_at(shape, 40, step / 100) for step in range(101)]
    assert min(counts) >= 1
    assert max(counts) == (28 if shape == "soak" else 40)
