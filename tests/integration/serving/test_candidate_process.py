"""Whatever an isolated candidate does to its process, the worker answers, no process is left."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx
import pandas as pd
import psutil
import pytest

from comparison.pairs.reader import load_pairs
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT
from tests.support.services.disruptive import CONDUCTS

PATIENCE = 60.0
FINE = {"ok"}
FAILED = {"error", "timeout"}
EITHER = FINE | FAILED
"""Where it may answer before it ends."""


class DisruptiveService:
    """A running service whose flag is at 0 %: the primary answers, the candidate is a shadow."""

    def __init__(self, serving: Serving, folder: Path) -> None:
        self.pid = serving.pid
        self._folder = folder
        self.client = httpx.Client(base_url=serving.url, timeout=PATIENCE)
        self._numbers = count()

    def ask(self, conduct: str = "") -> tuple[str, str]:
        """Send one request; return its id, and the primary's report of its process."""
        request_id = f"asked-{next(self._numbers)}"
        headers = {"X-Request-Id": request_id}
        body = {"amount": 0.7, "conduct": conduct}
        response = self.client.post("/judge", json=body, headers=headers)
        assert (response.status_code, response.headers["X-Model-Side"]) == (200, "primary")
        return request_id, response.json()["process"]

    def candidate(self, request_id: str) -> str:
        """Return the candidate's status for a request, once its pair is on disk."""
        found = pd.DataFrame()

        def written() -> bool:
            nonlocal found
            time.sleep(0.05)
            frame = load_pairs(self._folder / "pairs")
            found = frame[frame["request_id"] == request_id]
            return not found.empty

        assert eventually(written, PATIENCE)
        return str(found["candidate_status"].iloc[0])

    def worker(self) -> int:
        """Return the process id of the worker."""
        return int(self.ask()[1].strip("(").partition(",")[0])

    def recovers(self) -> bool:
        """Say whether the candidate answers again soon."""
        return eventually(lambda: self.candidate(self.ask()[0]) in FINE, PATIENCE)

    def started(self) -> list[int]:
        """Return the processes that the candidate has started."""
        path = self._folder / "started"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def served(folder: Path) -> Iterator[DisruptiveService]:
    write_flags_file(folder / "flags.json", "disruptive-v2", 0)
    variables = environment(
        folder / "bentoml",
        MARK="kept",
        STARTED=str(folder / "started"),
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        SHADOW_TIMEOUT="2",
        TMPDIR=str(folder),
    )
    with Serving(
        "tests.support.services.disruptive:Disruptive",
        environment=variables,
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        service = DisruptiveService(serving, folder)
        with service.client:
            assert service.recovers()
            yield service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisruptiveService]:
    with served(tmp_path_factory.mktemp("disruptive")) as service:
        yield service


OUTCOMES = {
    "signals its process group": FINE,
    "kills its process group": FAILED,
    "stops itself": EITHER,
    "signals its parent": FINE,
    "kills its parent": EITHER,
    "aborts": FAILED,
    "exits": FAILED,
    "raises SystemExit": FAILED,
    "closes every handle": FAILED,
    "scribbles into its pipe": EITHER,
    "changes its folder": FINE,
    "changes its umask": FINE,
    "clears its environment": FINE,
    "lowers its priority": FINE,
    "allows itself no further file": FINE,
    "allows itself no time": FAILED,
    "removes its temporary folder": FINE,
    "begins endless threads": FINE,
    "floods its output": FINE,
    "forks": FINE,
    "forks a daemon": FINE,
    "runs fifty programs": FINE,
    "ignores all signals": FINE,
}


@pytest.mark.slow
def test_what_a_candidate_does_to_its_process_reaches_no_caller_and_it_answers_again(
    service: DisruptiveService,
) -> None:
    """Each row of the table in docs/failure-semantics.md, one after the other."""
    assert set(CONDUCTS) < set(OUTCOMES)
    _, before = service.ask()
    for conduct, outcome in OUTCOMES.items():
        asked, _ = service.ask(conduct)
        assert service.candidate(asked) in outcome, conduct
        if conduct == "allows itself no further file":  # it cannot answer any more, nor end alone
            assert service.ask("exits")
        assert service.recovers(), conduct
        assert service.ask()[1] == before, conduct


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_no_process_and_no_temporary_folder_of_a_candidate_outlives_its_worker(
    tmp_path: Path, how: str
) -> None:
    with served(tmp_path) as service:
        for conduct in ("forks", "forks a daemon", "runs fifty programs", "ignores all signals"):
            assert service.candidate(service.ask(conduct)[0]) in FINE
        supervisor = psutil.Process(service.pid)
        left = [*service.started(), *(each.pid for each in supervisor.children(recursive=True))]
        assert len(left) > 52
        if how == "killed":
            os.kill(service.worker(), signal.SIGKILL)
            assert eventually(lambda: all(map(ended, service.started())), PATIENCE)
    assert eventually(lambda: all(map(ended, left)), PATIENCE)
    assert not [*tmp_path.glob("pymp-*"), *tmp_path.glob("bentoml-flags-*")]


def ended(pid: int) -> bool:
    """Say whether a process has ended, or is an orphaned zombie."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
