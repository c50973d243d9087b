"""The endpoints for operators of a running service with two workers, over HTTP."""

import contextlib
import json
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flags.export.worker_count import read_counts
from flags.monitoring import metrics
from flags.monitoring.worker_state import FOLDER, WORKERS_PATH, Workers, WorkerState
from flags.serving.http.endpoints import LIVE_PATH, PAGE_PATH
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

FLAG = "things-v2"
TARGET = "tests.support.services.scaled:Things"

Labels = frozenset[tuple[str, str]]


class Running:
    """A served service; each request has a connection of its own, so that any worker answers."""

    def __init__(self, serving: Serving, folder: Path) -> None:
        self.serving = serving
        self.flags = folder / "flags.json"
        self.pairs = folder / "pairs"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.serving.url + path, timeout=20)

    def judge(self, amount: float) -> httpx.Response:
        return httpx.post(self.serving.url + "/judge", json={"amount": amount}, timeout=20)

    def workers(self) -> tuple[WorkerState, ...]:
        response = self.get(WORKERS_PATH)
        assert response.status_code == 200
        return Workers.parse(response.content).workers

    def pids(self) -> set[int]:
        return {worker.pid for worker in self.workers()}

    def samples(self) -> dict[tuple[str, Labels], float]:
        """Return the samples of /metrics for our flag, by name and the other labels."""
        text = self.get("/metrics").text
        return {
            (sample.name, frozenset(sample.labels.items() - {("flag", FLAG)})): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("flag") == FLAG
        }


def labels(**given: str) -> Labels:
    return frozenset(given.items())


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` comes true; fail if it does not."""
    assert eventually(condition, pause=0.05), what


def settings(folder: Path, **others: str) -> Mapping[str, str]:
    return environment(
        folder / "bentoml",
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        **others,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("two-workers")
    write_flags_file(folder / "flags.json", FLAG, 0)
    with Serving(
        TARGET,
        environment=settings(folder, API_WORKERS="2"),
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        running = Running(serving, folder)
        wait_for(lambda: len(running.workers()) == 2, "two workers")
        yield running


def test_each_worker_says_what_it_believes(running: Running) -> None:
    answer = running.get(WORKERS_PATH)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    said = Workers.parse(answer.content)
    assert (said.service, said.flag) == ("Things", FLAG)
    for worker in said.workers:
        assert psutil.Process(worker.pid).ppid() == running.serving.pid
        assert (worker.service, worker.flag.key) == ("Things", FLAG)
        assert (worker.flag.state, worker.flag.enabled, worker.flag.rollout) == ("ready", True, 0.0)
        assert worker.flag.stickiness == "requestId"
        assert worker.flag.source == str(running.flags)
        assert worker.flag.error is None
        assert worker.pairs.dropped == {}
        assert worker.started < worker.heartbeat
    assert len({worker.worker for worker in said.workers}) == 2


def test_what_a_worker_believes_is_fresh(running: Running) -> None:
    def ages() -> Iterator[float]:
        said = Workers.parse(running.get(WORKERS_PATH).content)
        for worker in said.workers:
            yield abs((said.at - worker.heartbeat).total_seconds())
            yield math.inf if worker.flag.age_seconds is None else worker.flag.age_seconds

    wait_for(lambda: max(ages()) < 3, "its heartbeat and its look at the flags are of now")


@pytest.mark.parametrize("rollout", [25, 100])
def test_both_workers_are_seen_to_follow(running: Running, rollout: int) -> None:
    write_flags_file(running.flags, FLAG, rollout)
    wait_for(
        lambda: {worker.flag.rollout for worker in running.workers()} == {float(rollout)},
        f"followed to {rollout} %",
    )


def test_the_metrics_of_both_workers_add_up_to_what_was_asked(running: Running) -> None:
    write_flags_file(running.flags, FLAG, 100)
    wait_for(lambda: {worker.flag.rollout for worker in running.workers()} == {100.0}, "at 100 %")
    before = running.samples()
    asked, too_large = 40, 12
    for number in range(asked):
        assert running.judge(5_000 if number < too_large else 50).status_code == 200

    def grown(name: str, **given: str) -> float:
        return running.samples()[name, labels(**given)] - before[name, labels(**given)]

    wait_for(lambda: grown(metrics.PAIRS) == asked, "every pair is counted")
    good = asked - too_large
    assert grown(metrics.OBSERVATIONS, side="primary", status="ok") == asked
    assert grown(metrics.OBSERVATIONS, side="candidate", status="ok") == good
    assert grown(metrics.OBSERVATIONS, side="candidate", status="error") == too_large
    assert grown(metrics.ASSIGNMENTS, side="candidate", reason="static") == asked
    assert grown(metrics.ANSWERS, side="candidate") == good
    assert grown(metrics.ANSWERS, side="primary") == too_large
    assert grown(metrics.FALLBACKS) == too_large
    assert grown(f"{metrics.DURATION}_count", side="primary") == asked
    assert grown(f"{metrics.DURATION}_count", side="candidate") == asked
    dropped = [value for (name, _), value in running.samples().items() if name == metrics.DROPPED]
    assert dropped
    assert not any(dropped)
    wait_for(
        lambda: (
            sum(worker.pairs.recorded for worker in running.workers())
            == running.samples()[metrics.PAIRS, labels()]
        ),
        "the workers say the same",
    )
    assert all(worker.pairs.recorded for worker in running.workers()), "both took part"


def test_the_metrics_show_each_workers_view_of_the_flag(running: Running) -> None:
    write_flags_file(running.flags, FLAG, 10)
    pids = {str(pid) for pid in running.pids()}
    expected = {labels(pid=pid): 0.1 for pid in pids}

    def rollouts() -> dict[Labels, float]:
        found = running.samples().items()
        return {given: value for (name, given), value in found if name == metrics.ROLLOUT}

    wait_for(lambda: rollouts() == expected, "each worker's rollout")
    samples = running.samples()
    assert samples[metrics.PROVIDER_STATE, labels(state="ready")] == 2
    assert samples[metrics.PROVIDER_STATE, labels(state="stale")] == 0
    success = samples[metrics.LAST_SUCCESS, labels()]
    wait_for(lambda: running.samples()[metrics.LAST_SUCCESS, labels()] > success, "a newer look")
    wait_for(lambda: running.samples()[metrics.LAG, labels()] < 1, "every pair is written")
    running.flags.write_text('{"version": 2, "features": []}')
    wait_for(lambda: all(map(math.isnan, rollouts().values())), "the flag is gone")
    assert {worker.flag.enabled for worker in running.workers()} == {None}
    write_flags_file(running.flags, FLAG, 0)


def test_routes_and_docs_are_the_primarys_and_its_own_pages_answer(running: Running) -> None:
    from tests.support.services.scaled import ThingsV1

    schema = running.get("/schema.json").json()
    ours, theirs = schema["paths"], ThingsV1.schema()["paths"]
    assert schema["routes"] == json.loads(json.dumps(ThingsV1.schema()["routes"]))
    assert ours == theirs
    paths = running.get("/docs.json").json()["paths"]
    assert paths.keys() == ThingsV1.openapi_spec.asdict()["paths"].keys()
    assert running.get("/migration/about").text == "the primary's page"
    beside = httpx.post(running.serving.url + "/migration/judge", json={"amount": 1})
    assert beside.json() == {"score": 0.1}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", WORKERS_PATH, 405),
        ("DELETE", WORKERS_PATH, 405),
        ("HEAD", WORKERS_PATH, 200),
        ("POST", LIVE_PATH, 405),
        ("POST", PAGE_PATH, 405),
        ("GET", PAGE_PATH, 200),
        ("GET", f"{PAGE_PATH}/", 307),
        ("GET", f"{WORKERS_PATH}/../../etc", 404),
        ("GET", "/migration/anything", 404),
    ],
)
def test_there_is_nothing_to_write_and_nothing_else_to_read(
    running: Running, method: str, path: str, status: int
) -> None:
    assert httpx.request(method, running.serving.url + path).status_code == status


def test_a_worker_that_hangs_is_listed_and_seen_to_be_silent(running: Running) -> None:
    pid = running.workers()[0].pid
    os.kill(pid, signal.SIGSTOP)
    try:

        def silence() -> float:
            said = Workers.parse(running.get(WORKERS_PATH).content)
            return max((said.at - worker.heartbeat).total_seconds() for worker in said.workers)

        wait_for(lambda: silence() > 3, "its heartbeat grows old")
        assert pid in running.pids()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: silence() < 3, "it beats again")


def test_a_killed_worker_is_off_the_list_at_once_and_another_takes_its_place(
    running: Running,
) -> None:
    killed, living = (worker.pid for worker in running.workers())
    before = running.samples()[metrics.PAIRS, labels()]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: running.pids() == {living}, "off the list")
    wait_for(
        lambda: (metrics.ROLLOUT, labels(pid=str(killed))) not in running.samples(),
        "its gauges are gone",
    )
    assert running.samples()[metrics.PROVIDER_STATE, labels(state="ready")] == 1
    assert running.samples()[metrics.PAIRS, labels()] == before, "its counts stay"
    wait_for(lambda: len(running.pids() - {killed, living}) == 1, "BentoML starts another")
    wait_for(
        lambda: running.samples()[metrics.PROVIDER_STATE, labels(state="ready")] == 2,
        "it counts",
    )


def test_a_service_that_has_ended_leaves_nobody_on_its_list(tmp_path: Path) -> None:
    """Under a path prefix, and with each model in processes of its own."""
    write_flags_file(tmp_path / "flags.json", FLAG, 0)
    serving = Serving(
        TARGET,
        environment=settings(tmp_path, PATH_PREFIX="/claims", PLACEMENT="runners"),
        log=tmp_path / "service.log",
        folder=ROOT,
    )
    serving.url += "/claims"
    with serving:
        (worker,) = Running(serving, tmp_path).workers()
        assert worker.flag.rollout == 0.0
        kept = {path.name for path in (tmp_path / "pairs" / FOLDER).iterdir()}
        assert {Path(each).stem for each in kept - {f"{FLAG}.rollouts"}} == {worker.worker}
        assert "<title>Migration</title>" in httpx.get(serving.url + PAGE_PATH).text
        assert httpx.get(serving.url + LIVE_PATH).json()["rollout"] == 0
        assert httpx.get(serving.url.removesuffix("/claims") + WORKERS_PATH).status_code == 404
    [count] = read_counts(tmp_path / "pairs")  # what it had made is known for good
    assert (count.worker, count.closed) == (worker.worker, True)
    left = {path.suffix for path in (tmp_path / "pairs" / FOLDER).iterdir()}
    assert left == {".count", ".rollouts"}


def test_flags_that_are_required_are_waited_for_and_endpoints_can_be_off(tmp_path: Path) -> None:
    serving = Serving(
        TARGET,
        environment=settings(tmp_path, FLAGS_REQUIRED="true", MIGRATION_ENDPOINTS="false"),
        log=tmp_path / "service.log",
        folder=ROOT,
    )
    running = Running(serving, tmp_path)
    errors: list[Exception] = []

    def start() -> None:  # returns once /readyz is 200
        try:
            serving.start()
        except Exception as error:
            errors.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    try:
        wait_for(lambda: _status(serving, "/readyz") == 503, "/readyz answers")
        looked = str(running.flags)
        wait_for(lambda: looked in serving.log.read_text(), "it has looked for flags")
        assert running.get("/readyz").status_code == 503
        assert running.get("/livez").status_code == 200
        assert running.judge(50).json() == {"score": 0.5}, "the primary answers all the same"
        write_flags_file(running.flags, FLAG, 100)
        wait_for(lambda: _status(serving, "/readyz") == 200, "ready")
        assert running.judge(50).json() == {"score": 1.0}
        for path in (PAGE_PATH, LIVE_PATH, WORKERS_PATH):
            assert running.get(path).status_code == 404
        assert not list(running.pairs.glob(f"{FOLDER}/*.recent")), "nobody would read them"
        running.flags.unlink()
        stale = metrics.PROVIDER_STATE, labels(state="stale")
        wait_for(lambda: running.samples().get(stale) == 1, "it has seen that they are gone")
        assert running.get("/readyz").status_code == 200, "the last good flags still count"
    finally:
        starting.join()
        serving.stop()
    assert errors == []


def _status(serving: Serving, path: str) -> Any:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(serving.url + path, timeout=5).status_code
    return None
