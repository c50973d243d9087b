"""A candidate that is a deployment of its own: it comes, goes and changes; no answer is lost."""

import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest
import requests

from comparison.pairs.reader import load_pairs, read_pairs
from flags.monitoring.candidate_metrics import CANDIDATE_STATE
from flags.monitoring.worker_state import WORKERS_PATH, CandidateState, Workers
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving, free_port
from tests.support.fakes import eventually
from tests.support.flagged_service import Load
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

FLAG = "far-v2"
TARGET = "tests.support.services.elsewhere"
TOKEN = "for-the-candidate"  # noqa: S105 - no secret
TIMEOUT = 1.5
"""Time limit in seconds of the candidate, which hangs for longer."""
FAILURES = 4


class Deployment:
    """The migrated service, and the address of its candidate, with or without a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.far: Serving | None = None
        self._target = ""
        self._port = free_port()
        self._numbers = itertools.count()
        self.roll_out(0)
        self.near = self._serving(
            "Claims",
            FAR=f"http://127.0.0.1:{self._port}",
            CANDIDATE_TIMEOUT=str(TIMEOUT),
            CANDIDATE_CHECK_INTERVAL="1",
            CANDIDATE_FAILURES=str(FAILURES),
            CANDIDATE_TOKEN=TOKEN,
        )
        self.client = httpx.Client(base_url=self.near.url, timeout=60)

    def have(self, target: str | None) -> None:
        """Start `target` at the candidate's address, or leave the address without a server."""
        if target == self._target and self.far is not None:
            return
        if self.far is not None:
            self.far.stop()
        self.far, self._target = None, target or ""
        if target is not None:
            self.far = self._serving(target)
            self.far.port = self._port
            self.far.url = f"http://127.0.0.1:{self._port}"
            self.far.start()

    def kill(self) -> None:
        """Kill the candidate's server with all its processes."""
        assert self.far is not None
        supervisor = psutil.Process(self.far.pid)
        for process in [supervisor, *supervisor.children(recursive=True)]:
            process.kill()
        self.far.stop()
        self.far = None

    def roll_out(self, rollout: int) -> None:
        write_flags_file(self.folder / "flags.json", FLAG, rollout)

    def answer_by(self, side: str) -> None:
        """Make `side` active, and wait until it answers."""
        self.roll_out(100 if side == "candidate" else 0)
        assert eventually(lambda: self._side() == side, 60), self.candidate()

    def _side(self) -> str:
        time.sleep(0.05)
        return self.judge().headers["X-Model-Side"]

    def judge(self, conduct: str = "", **headers: str) -> httpx.Response:
        named = {"X-Request-Id": f"r{next(self._numbers)}", **headers}
        response = self.client.post(
            "/judge", json={"amount": 10, "conduct": conduct}, headers=named
        )
        assert response.status_code == 200, response.text
        return response

    def candidate(self) -> CandidateState:
        """Return the candidate as the worker shows it."""
        shown = requests.get(self.near.url + WORKERS_PATH, timeout=10)
        (worker,) = Workers.parse(shown.content).workers
        assert worker.candidate is not None
        return worker.candidate

    def becomes(self, state: str) -> CandidateState:
        """Wait until the candidate is in `state`, as the worker shows it."""

        def is_so() -> bool:
            time.sleep(0.05)
            return self.candidate().state == state

        assert eventually(is_so, 60), self.candidate()
        return self.candidate()

    def workers_that_see(self) -> set[str]:
        """Return the states of the candidate that a worker is counted in, on /metrics."""
        text = requests.get(f"{self.near.url}/metrics", timeout=10).text
        found = re.findall(rf'^{CANDIDATE_STATE}{{.*state="(\w+)".*}} 1\.0$', text, re.M)
        return set(found)

    def pair(self, response: httpx.Response) -> pd.Series:
        request_id = response.headers["X-Request-Id"]
        found = pd.DataFrame()

        def is_there() -> bool:
            nonlocal found
            time.sleep(0.05)
            frame = load_pairs(self.folder / "pairs")
            found = frame[frame["request_id"] == request_id]
            return len(found) > 0

        assert eventually(is_there, 60)
        assert len(found) == 1
        return found.iloc[0]

    def heard(self, request_id: str) -> dict[str, str]:
        """Return the headers that the candidate got with a request."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            time.sleep(0.05)
            heard = map(json.loads, (self.folder / "heard").read_text().splitlines())
            found[:] = [each for each in heard if each["x-request-id"] == request_id]
            return bool(found)

        assert eventually(is_there, 60)
        return found[-1]

    @property
    def log(self) -> str:
        return self.near.log.read_text(errors="replace")

    def _serving(self, target: str, **settings: str) -> Serving:
        named = {
            "ELSEWHERE": str(self.folder),
            "FLAGS_FILE": str(self.folder / "flags.json"),
            "PAIRS_DIR": str(self.folder / "pairs"),
            **settings,
        }
        return Serving(
            f"{TARGET}:{target}",
            environment=environment(self.folder / f"bentoml-{target}", **named),
            log=self.folder / f"{target}.log",
            folder=ROOT,
        )


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Return a deployment that was started without a server at the candidate's address."""
    made = Deployment(tmp_path_factory.mktemp("elsewhere"))
    with made.near, made.client:
        yield made
        made.have(None)


def test_the_service_starts_and_is_ready_while_the_candidate_is_away(
    deployment: Deployment,
) -> None:
    deployment.have(None)
    assert deployment.client.get("/readyz").status_code == 200
    shown = deployment.becomes("away")
    assert shown.model == "far-not-seen"
    assert "Connect" in (shown.why or "")
    assert "is away, the primary answers" in deployment.log
    deployment.roll_out(100)

    def falls_back() -> bool:
        pair = deployment.pair(deployment.judge())
        return bool(pair["fallback"]) and pair["candidate_error"] == "SideDownError"

    assert eventually(falls_back, 60)


def test_a_candidate_that_comes_up_answers_and_its_model_is_recorded(
    deployment: Deployment,
) -> None:
    deployment.have("Far")
    deployment.answer_by("candidate")
    response = deployment.judge()
    assert response.json()["score"] == 0.2
    assert response.headers["X-Model-Tag"] == "far_v2"
    assert response.headers["X-Judged-By"] == "far"
    pair = deployment.pair(response)
    assert (pair["candidate_model"], pair["candidate_status"]) == ("far_v2", "ok")
    assert (pair["primary_score"], pair["candidate_score"]) == (0.1, 0.2)
    assert deployment.becomes("ready").model == "far_v2"


def test_the_candidate_gets_the_callers_headers_without_credentials(
    deployment: Deployment,
) -> None:
    deployment.have("Far")
    deployment.answer_by("candidate")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = deployment.judge(
        Authorization="Bearer of-the-caller",
        Cookie="session=of-the-caller",
        traceparent=f"00-{trace}-00f067aa0ba902b7-01",
        **{"X-Tenant": "acme"},
    )
    heard = response.json()["heard"]
    assert heard["x-request-id"] == response.headers["X-Request-Id"]
    assert heard["x-tenant"] == "acme"
    assert heard["authorization"] == f"Bearer {TOKEN}"
    assert trace in heard["traceparent"]
    assert "cookie" not in heard
    assert "x-shadow" not in heard


def test_a_shadow_is_marked_as_one(deployment: Deployment) -> None:
    deployment.have("Far")
    deployment.answer_by("candidate")  # so that it is there
    deployment.answer_by("primary")
    response = deployment.judge()
    assert response.json()["by"] == "near"
    assert deployment.heard(response.headers["X-Request-Id"])["x-shadow"] == "true"
    assert deployment.pair(response)["candidate_status"] == "ok"


def test_an_error_of_the_candidate_keeps_its_kind(deployment: Deployment) -> None:
    deployment.have("Far")
    deployment.answer_by("candidate")
    response = deployment.judge("refuses")
    assert response.json()["by"] == "near"
    pair = deployment.pair(response)
    assert (pair["candidate_error"], pair["fallback"]) == ("InvalidArgument", True)


def test_a_candidate_that_hangs_is_left_alone_after_some_calls_and_tried_again(
    deployment: Deployment,
) -> None:
    deployment.have("Far")
    deployment.answer_by("candidate")
    for _ in range(FAILURES):
        response = deployment.judge("hangs")
        assert response.json()["by"] == "near"
    assert deployment.pair(response)["candidate_status"] == "timeout"
    assert "got no answer" in (deployment.becomes("failing").why or "")
    assert eventually(lambda: deployment.workers_that_see() == {"failing"}, 20)
    refused = deployment.judge("hangs")  # the one that may be a trial
    if deployment.pair(refused)["candidate_status"] == "timeout":
        refused = deployment.judge("hangs")
    pair = deployment.pair(refused)
    assert (pair["candidate_status"], pair["candidate_error"]) == ("error", "SideDownError")
    deployment.answer_by("candidate")
    deployment.becomes("ready")


@pytest.mark.slow
def test_a_server_with_another_schema_is_not_called_and_the_words_say_why(
    deployment: Deployment,
) -> None:
    deployment.have("FarOther")
    deployment.roll_out(100)
    shown = deployment.becomes("other schema")
    assert "/judge" in (shown.why or "")
    assert "country" in (shown.why or "")
    response = deployment.judge()
    assert response.json()["by"] == "near"
    pair = deployment.pair(response)
    assert (pair["candidate_error"], pair["fallback"]) == ("ApiMismatchError", True)
    assert deployment.client.get("/readyz").status_code == 200
    assert "is not called, the primary answers" in deployment.log


@pytest.mark.slow
def test_another_version_in_the_middle_is_another_model_in_the_pairs(
    deployment: Deployment,
) -> None:
    """Right after a server with another schema, so that the check must notice the change."""
    deployment.have("FarLater")
    deployment.roll_out(100)

    def answers() -> bool:
        time.sleep(0.05)
        return deployment.judge().headers["X-Model-Tag"] == "far_v3"

    assert eventually(answers, 60)
    response = deployment.judge()
    assert response.json()["by"] == "far later"
    assert deployment.pair(response)["candidate_model"] == "far_v3"


@pytest.mark.slow
def test_a_candidate_that_is_killed_and_restarted_costs_no_answer(deployment: Deployment) -> None:
    deployment.have("FarLater")
    deployment.answer_by("candidate")
    with Load(deployment.near.url, callers=2, name="killed") as load:
        assert eventually(lambda: len(load.replies) > 20)
        deployment.kill()
        gone = time.time()
        assert eventually(lambda: len(load.since(gone)) > 20)
        deployment.have("FarLater")
        assert eventually(lambda: _last_side(load) == "candidate", 60)
    assert not load.failed()
    sides = {reply.side for reply in load.replies}
    assert sides == {"primary", "candidate"}


def _last_side(load: Load) -> str | None:
    time.sleep(0.02)
    return load.replies[-1].side


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_of_a_stream_ends_it(deployment: Deployment) -> None:
    deployment.have("FarLater")
    deployment.answer_by("candidate")
    named = {"X-Request-Id": "cut-stream"}
    with deployment.client.stream(
        "POST", "/write", json={"gate": "never-opened"}, headers=named
    ) as response:
        lines = response.iter_lines()
        assert next(lines) == "far later 0"
        deployment.kill()
        assert list(lines) == []
    pair = deployment.pair(response)
    assert (pair["served"], pair["candidate_status"]) == ("candidate", "error")
    assert (pair["candidate_items"], pair["primary_items"]) == (1, 3)


def test_a_stream_is_the_primarys_where_the_candidate_is_away(deployment: Deployment) -> None:
    deployment.have(None)
    deployment.becomes("away")
    deployment.roll_out(100)
    answer = deployment.client.post("/write", json={"gate": "g"})
    assert answer.text == "near 0 g\nnear 1 g\nnear 2 g\n"


def test_no_pair_was_lost(deployment: Deployment) -> None:
    assert read_pairs(deployment.folder / "pairs").accounting.completeness == 1
