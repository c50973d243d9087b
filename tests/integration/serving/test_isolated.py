"""However the candidate's process ends, over real HTTP: who gets which answer, what is recorded,
what is started anew, and what is left behind (nothing).
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path

import httpx
import pandas as pd
import psutil
import pytest

from comparison.pairs.reader import load_pairs, read_pairs
from flags.pairing.assignment import Side
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.flagged_service import Load, Reply
from tests.support.fraud_store import environment
from tests.support.paths import ROOT
from tests.support.services.frail import LEAK

LIMIT = 3.0
"""Time limit of the candidate in seconds."""

MAX_WAIT = 60.0
"""Seconds that a test waits for an event, which takes a moment on an idle machine."""

MAX_MEMORY = LEAK
"""Bytes: the process uses about a third of that before it leaks, and more afterwards."""


class FrailService:
    """A running service, its flag, its pairs, its processes."""

    def __init__(self, serving: Serving, folder: Path) -> None:
        self._serving = serving
        self._folder = folder
        self._numbers = count()
        self.client = httpx.Client(base_url=serving.url, timeout=MAX_WAIT)
        self.pairs = folder / "pairs"

    @property
    def log(self) -> str:
        return self._serving.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Return the supervisor's process id."""
        return self._serving.pid

    def worker(self) -> psutil.Process:
        """Return the process that answers over HTTP."""
        return psutil.Process(self.starts("primary")[-1][0])

    def starts(self, side: str) -> list[tuple[int, float]]:
        """Return the process id of each process of `side` and when it began to load."""
        began = self._folder / side
        lines = began.read_text().splitlines() if began.exists() else []
        return [(int(pid), float(when)) for pid, when in map(str.split, lines)]

    def load(self, callers: int) -> Load:
        """Return a load in the background, with its own request ids."""
        return Load(self._serving.url, callers, name=f"load-{next(self._numbers)}")

    def load_as(self, how: str) -> None:
        """Set how the candidate loads from now on."""
        _replace(self._folder / "loading", how)

    def post(self, route: str = "/judge", **conduct: str) -> httpx.Response:
        """Send one request with a new request id."""
        named = {"X-Request-Id": f"asked-{next(self._numbers)}"}
        return self.client.post(route, json={"amount": 0.7, **conduct}, headers=named)

    def answer_by(self, side: str, other_than: int | None = None) -> int:
        """Make `side` active, ask until it answers in another process; return the process id."""
        write_flags_file(self._folder / "flags.json", "frail-v2", 100 * (side == "candidate"))
        found: list[int] = []

        def answers() -> bool:
            response = self.post()
            assert response.status_code == 200
            found.append(response.json()["pid"])
            time.sleep(0.05)
            return response.headers["X-Model-Side"] == side and found[-1] != other_than

        assert eventually(answers, MAX_WAIT), f"the {side} does not answer"
        return found[-1]

    def pair(self, response: httpx.Response) -> pd.Series:
        """Return the pair of a request, once it is on disk."""
        request_id = response.headers["X-Request-Id"]
        return self._pairs_of({request_id}).loc[request_id]

    def pairs_of(self, replies: Iterable[Reply]) -> pd.DataFrame:
        """Return the pairs of all these requests by request id, once all are on disk."""
        return self._pairs_of({reply.request_id for reply in replies})

    def _pairs_of(self, request_ids: set[str]) -> pd.DataFrame:
        found = pd.DataFrame()

        def complete() -> bool:
            nonlocal found
            frame = load_pairs(self.pairs)
            found = frame[frame["request_id"].isin(request_ids)]
            time.sleep(0.05)
            return len(found) >= len(request_ids)

        assert eventually(complete, MAX_WAIT), f"{len(found)} pairs of {len(request_ids)} requests"
        assert sorted(found["request_id"]) == sorted(request_ids)
        return found.set_index("request_id")


@contextmanager
def served(folder: Path, loading: str = "", **settings: str) -> Iterator[FrailService]:
    """Serve with an active candidate that loads as `loading` says."""
    write_flags_file(folder / "flags.json", "frail-v2", 100)
    _replace(folder / "loading", loading)
    named = {
        "STARTS": str(folder),
        "LOADING": str(folder / "loading"),
        "FLAGS_FILE": str(folder / "flags.json"),
        "PAIRS_DIR": str(folder / "pairs"),
        **settings,
    }
    with Serving(
        "tests.support.services.frail:FrailMigration",
        environment=environment(folder / "bentoml", **named),
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        service = FrailService(serving, folder)
        with service.client:
            yield service


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrailService]:
    """Return a service in which the restart delay has started anew."""
    with served(
        tmp_path_factory.mktemp("frail"),
        CANDIDATE_TIMEOUT=str(LIMIT),
        CANDIDATE_MAX_MEMORY=str(MAX_MEMORY),
        LONG_LIFE="0",
    ) as service:
        yield service


@pytest.mark.parametrize(
    ("route", "conduct", "status", "error"),
    [
        ("/judge", "exits", "error", "SideDownError"),
        ("/judge", "crashes", "error", "SideDownError"),
        ("/judge", "hangs", "timeout", "TimeoutError"),
        ("/judge", "holds the lock", "timeout", "TimeoutError"),
        ("/judge_later", "hangs", "timeout", "TimeoutError"),  # and blocks the event loop
        ("/judge_later", "ignores its cancellation", "timeout", "TimeoutError"),
    ],
)
def test_a_candidate_that_cannot_go_on_costs_its_process_and_no_answer(
    frail: FrailService, route: str, conduct: str, status: str, error: str
) -> None:
    before = frail.answer_by("candidate")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(frail.post, route, candidate=conduct)
        with frail.load(2) as load:
            frail.answer_by("candidate", other_than=before)
    response = asked.result()
    assert response.status_code == 200
    assert response.headers["X-Model-Side"] == "primary"
    pair = frail.pair(response)
    assert (pair["candidate_status"], pair["candidate_error"]) == (status, error)
    assert (pair["primary_status"], pair["served"], pair["fallback"]) == ("ok", "primary", True)
    assert load.failed() == []
    assert set(frail.pairs_of(load.replies)["primary_status"]) == {"ok"}
    assert eventually(lambda: ended(before), MAX_WAIT)


def test_a_candidate_killed_from_outside_under_load_costs_no_answer(frail: FrailService) -> None:
    before = frail.answer_by("candidate")
    with frail.load(3) as load:
        assert eventually(lambda: len(load.replies) > 10, MAX_WAIT)
        os.kill(before, signal.SIGKILL)
        frail.answer_by("candidate", other_than=before)
    assert load.failed() == []
    pairs = frail.pairs_of(load.replies)
    assert set(pairs["primary_status"]) == {"ok"}
    assert (pairs["fallback"] == (pairs["candidate_status"] != "ok")).all()
    assert f"process {before} was ended by SIGKILL" in frail.log


def test_a_candidate_that_grows_beyond_its_memory_is_replaced(frail: FrailService) -> None:
    before = frail.answer_by("candidate")
    with frail.load(2) as load:
        response = frail.post(candidate="leaks")
        frail.answer_by("candidate", other_than=before)
    assert response.status_code == 200
    assert frail.pair(response)["candidate_status"] == "ok"
    assert load.failed() == []
    assert eventually(lambda: ended(before), MAX_WAIT)
    assert f"limit {MAX_MEMORY >> 20} MiB" in frail.log


def test_a_candidate_that_can_be_cancelled_keeps_its_process(frail: FrailService) -> None:
    before = frail.answer_by("candidate")
    response = frail.post("/judge_later", candidate="waits")
    assert response.headers["X-Model-Side"] == "primary"
    assert frail.pair(response)["candidate_status"] == "timeout"
    starts = len(frail.starts("candidate"))
    with frail.load(4) as load:  # for longer than a call that is cancelled gets to end
        assert eventually(lambda: load.replies and load.since(load.replies[0].began + 1.5))
    assert {reply.worker for reply in load.replies} == {before}
    assert len(frail.starts("candidate")) == starts


def test_the_primary_runs_in_the_worker_and_the_candidate_does_not(frail: FrailService) -> None:
    primary, candidate = frail.answer_by("primary"), frail.answer_by("candidate")
    assert "worker" in " ".join(psutil.Process(primary).cmdline())
    assert primary in {each.pid for each in psutil.Process(candidate).parents()}


@pytest.mark.parametrize("side", Side)
def test_what_a_process_has_loaded_is_left_out_of_garbage_collection(
    frail: FrailService, side: Side
) -> None:
    frail.answer_by(side)
    assert frail.post().json()["frozen"] > 100_000


def test_a_shadow_that_ends_its_process_is_recorded_and_seen_by_nobody(
    frail: FrailService,
) -> None:
    frail.answer_by("primary")
    response = frail.post(candidate="crashes")
    assert response.status_code == 200
    pair = frail.pair(response)
    assert (pair["served"], pair["fallback"]) == ("primary", False)
    assert (pair["candidate_status"], pair["candidate_error"]) == ("error", "SideDownError")


def test_no_pair_of_all_of_these_was_lost(frail: FrailService) -> None:
    assert read_pairs(frail.pairs).accounting.completeness == 1


def test_a_candidate_that_cannot_be_loaded_leaves_the_primary_answering_until_it_can(
    tmp_path: Path,
) -> None:
    """First it takes longer than the worker waits, then it fails in every way, then it loads."""
    with served(tmp_path, "waits", CANDIDATE_START_TIMEOUT="1") as frail:
        assert "FrailV2 is still loading" in frail.log
        assert alone(frail) == "SideDownError"
        for number, how in enumerate(("fails", "exits", "ends"), 2):
            frail.load_as(how)
            assert eventually(lambda n=number: len(frail.starts("candidate")) >= n, MAX_WAIT)  # type: ignore[misc]
            assert alone(frail) == "SideDownError"
        assert eventually(lambda: len(frail.starts("candidate")) >= 5, MAX_WAIT)
        frail.load_as("")
        frail.answer_by("candidate")
        assert len({pid for pid, _ in frail.starts("primary")}) == 1
        gaps = [later - earlier for (_, earlier), (_, later) in pairwise(frail.starts("candidate"))]
    # The first is started anew at once, the further ones after half a second, one, two, ...
    assert all(gap >= 0.5 * 2**number for number, gap in enumerate(gaps[1:]))
    assert "this model cannot be loaded" in frail.log


def alone(frail: FrailService) -> str:
    """Return the candidate's part of the pair of a request that the primary answers."""
    response = frail.post()
    assert response.status_code == 200
    assert response.headers["X-Model-Side"] == "primary"
    assert frail.client.get("/readyz").status_code == 200
    pair = frail.pair(response)
    assert (pair["primary_status"], pair["candidate_status"]) == ("ok", "error")
    return str(pair["candidate_error"])


@pytest.mark.slow
def test_no_process_outlives_its_worker_and_no_request_a_stop_of_the_whole_group(
    tmp_path: Path,
) -> None:
    """The worker is killed, then all processes get SIGTERM at once, as from systemd."""
    with served(tmp_path, CANDIDATE_TIMEOUT="600", DRAIN_TIMEOUT="1") as frail:
        first = frail.answer_by("candidate")
        worker = frail.worker()
        left = [worker, *worker.children(recursive=True)]
        assert {pid for side in ("primary", "candidate") for pid, _ in frail.starts(side)} < {
            each.pid for each in left
        }
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(frail.post, candidate="holds the lock")
            assert eventually((tmp_path / "held").exists, MAX_WAIT)
            worker.kill()
            with pytest.raises(httpx.RemoteProtocolError):
                asked.result()
        assert eventually(lambda: all(ended(each.pid) for each in left), MAX_WAIT)

        assert eventually(lambda: is_ready(frail), MAX_WAIT)
        frail.answer_by("candidate", other_than=first)
        left = psutil.Process(frail.pid).children(recursive=True)
        with frail.load(4) as load:
            assert eventually(lambda: len(load.replies) > 20, MAX_WAIT)
            os.killpg(frail.pid, signal.SIGTERM)
            assert eventually(lambda: load.replies[-1].status == 0, MAX_WAIT)
        assert {reply.status for reply in load.replies} == {200, 0}
        assert eventually(lambda: all(ended(each.pid) for each in left), MAX_WAIT)
    answered = [reply for reply in load.replies if reply.status == 200]
    assert {reply.side for reply in answered} == {"candidate"}
    assert set(frail.pairs_of(answered)["primary_status"]) == {"ok"}


def is_ready(frail: FrailService) -> bool:
    try:
        return frail.client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def ended(pid: int) -> bool:
    """Say whether a process has ended, or is an orphaned zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _replace(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)
