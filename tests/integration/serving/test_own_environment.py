"""A candidate with other versions of the libraries, in an environment of its own beside the worker.

The environment is made by uv once for its requirements, and kept in the cache of this user.
"""

import io
import itertools
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pandas as pd
import psutil
import pytest
import requests

from comparison.pairs.reader import load_pairs
from flags.monitoring.worker_state import WORKERS_PATH, Workers, WorkerState
from flags.serving.isolated.environment import OwnEnvironment
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

Image = pytest.importorskip("PIL.Image")

FLAG = "other-libraries"
TARGET = "tests.support.services.other_libraries"
REQUIREMENTS = ROOT / "tests" / "support" / "services" / "other-libraries.txt"
THEIRS = {"scikit-learn": "1.5.2", "numpy": "1.26.4", "pydantic": "2.10.6"}
OURS = {name: version(name) for name in THEIRS}
FAILURES = 2
TRAIN = f"from {TARGET} import train; train()"


class Running:
    """The service with both environments, its flag and its pairs."""

    def __init__(self, serving: Serving, folder: Path) -> None:
        self.serving, self.folder = serving, folder
        self.client = httpx.Client(base_url=serving.url, timeout=60)
        self._numbers = itertools.count()

    def answer_by(self, side: str, other_than: int | None = None) -> int:
        """Make `side` active, wait until it answers in another process; return its id."""
        write_flags_file(self.folder / "flags.json", FLAG, 100 if side == "candidate" else 0)
        found = [0]

        def answers() -> bool:
            time.sleep(0.1)
            answer = self.judge()
            found[0] = answer.json()["pid"]
            return answer.headers["X-Model-Side"] == side and found[0] != other_than

        assert eventually(answers, 90), self.state()
        return found[0]

    def judge(self, *tags: str) -> httpx.Response:
        named = {"X-Request-Id": f"r{next(self._numbers)}"}
        answer = self.client.post("/judge", json={"amount": 70, "tags": tags}, headers=named)
        assert answer.status_code == 200
        return answer

    def state(self) -> WorkerState:
        shown = requests.get(self.serving.url + WORKERS_PATH, timeout=10)
        (worker,) = Workers.parse(shown.content).workers
        return worker

    def pair(self, response: httpx.Response) -> pd.Series:
        found = pd.DataFrame()

        def is_there() -> bool:
            nonlocal found
            time.sleep(0.05)
            frame = load_pairs(self.folder / "pairs")
            found = frame[frame["request_id"] == response.headers["X-Request-Id"]]
            return len(found) > 0

        assert eventually(is_there, 60)
        return found.iloc[0]


def serving(folder: Path, **settings: str) -> Serving:
    write_flags_file(folder / "flags.json", FLAG, 0)
    named = {
        "OTHER_LIBRARIES": str(folder),
        "FLAGS_FILE": str(folder / "flags.json"),
        "PAIRS_DIR": str(folder / "pairs"),
        "CANDIDATE_TIMEOUT": "3",
        "CANDIDATE_FAILURES": str(FAILURES),
        **settings,
    }
    return Serving(
        "tests.support.services.own_environment:Judge",
        environment=environment(folder / "bentoml", **named),
        log=folder / "service.log",
        folder=ROOT,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of each scikit-learn."""
    made = tmp_path_factory.mktemp("libraries")
    own = OwnEnvironment(f"{TARGET}:OtherLibraries", requirements=REQUIREMENTS)
    try:
        other = own.interpreter()
    except OSError as error:
        pytest.skip(f"the other environment cannot be made: {error}")
    for python in (other, Path(sys.executable)):
        variables = {**own.variables(os.environ), "OTHER_LIBRARIES": str(made)}
        subprocess.run([python, "-c", TRAIN], cwd=ROOT, env=variables, check=True)
    return made


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    with serving(folder, CANDIDATE_REQUIREMENTS=str(REQUIREMENTS)) as served:
        running = Running(served, folder)
        with running.client:
            yield running


@pytest.fixture(params=["primary", "candidate"])
def side(request: pytest.FixtureRequest, running: Running) -> str:
    running.answer_by(request.param)
    return str(request.param)


def test_neither_scikit_learn_can_load_the_others_model(folder: Path) -> None:
    """Otherwise the following tests would show nothing."""
    assert OURS["scikit-learn"] != THEIRS["scikit-learn"]
    with pytest.raises(ImportError):
        pickle.loads((folder / f"{THEIRS['scikit-learn']}.pkl").read_bytes())  # noqa: S301 - ours
    other = OwnEnvironment("a:b", requirements=REQUIREMENTS).interpreter()
    path = folder / f"{OURS['scikit-learn']}.pkl"
    load = f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"
    assert subprocess.run([other, "-c", load], capture_output=True, check=False).returncode != 0


def test_each_side_answers_with_its_own_libraries_and_both_are_recorded(
    running: Running, side: str
) -> None:
    answer = running.judge()
    assert answer.headers["X-Model-Side"] == side
    assert answer.json()["libraries"] == (OURS if side == "primary" else THEIRS)
    pair = running.pair(answer)
    assert (pair["primary_status"], pair["candidate_status"]) == ("ok", "ok")
    assert pair["primary_score"] == pytest.approx(pair["candidate_score"])
    assert pair["candidate_model"] == "OtherLibraries"


def test_arrays_frames_images_and_files_cross(running: Running, side: str) -> None:
    del side
    post = running.client.post
    assert post("/scale", json={"vector": [1.0, 2.0]}).json() == [1 / 3, 2 / 3]
    rows = [{"amount": 1.5}, {"amount": 2.0}]
    twice = [{"amount": 1.5, "twice": 3.0}, {"amount": 2.0, "twice": 4.0}]
    assert post("/annotate", json={"rows": rows}).json() == twice
    picture = io.BytesIO()
    Image.new("RGB", (3, 2), (1, 2, 3)).save(picture, format="PNG")
    inverted = post("/invert", files={"image": ("a.png", picture.getvalue(), "image/png")})
    assert Image.open(io.BytesIO(inverted.content)).getpixel((0, 0)) == (254, 253, 252)
    assert post("/reverse", files={"upload": ("a.txt", b"abc")}).content == b"cba"


def test_streams_cross(running: Running, side: str) -> None:
    numpy = (OURS if side == "primary" else THEIRS)["numpy"]
    answer = running.client.post("/tokens", json={"words": ["a", "b"]})
    assert answer.text == f'{{"text":"a {numpy}"}}{{"text":"b {numpy}"}}'
    assert running.client.post("/count", json={"upto": 3}).text == "0\n1\n2\n"


def test_an_error_keeps_its_kind(running: Running) -> None:
    running.answer_by("candidate")
    answer = running.judge("refuses")
    assert answer.json()["libraries"] == OURS
    assert running.pair(answer)["candidate_error"] == "InvalidArgument"


def test_a_process_that_ends_or_hangs_is_replaced_and_costs_no_answer(running: Running) -> None:
    before = running.answer_by("candidate")
    assert running.judge("ends").json()["libraries"] == OURS
    after = running.answer_by("candidate", other_than=before)
    for _ in range(FAILURES):
        assert running.judge("hangs").json()["libraries"] == OURS
    running.answer_by("candidate", other_than=after)
    assert eventually(lambda: not psutil.pid_exists(after), 30)


def test_the_process_ends_with_its_worker_however_that_ends(running: Running) -> None:
    process = running.answer_by("candidate")
    os.kill(running.state().pid, signal.SIGKILL)
    assert eventually(lambda: not psutil.pid_exists(process), 30)
    running.answer_by("candidate", other_than=process)  # of another worker


def test_an_interpreter_that_lacks_a_library_is_named_and_the_primary_answers(
    folder: Path, tmp_path: Path
) -> None:
    bare = OwnEnvironment("a:b", requirements=_empty(tmp_path)).interpreter()
    given = {"CANDIDATE_PYTHON": str(bare), "OTHER_LIBRARIES": str(folder)}
    with serving(tmp_path, **given) as served:
        running = Running(served, tmp_path)
        write_flags_file(tmp_path / "flags.json", FLAG, 100)
        assert running.client.get("/readyz").status_code == 200

        def is_said() -> bool:
            time.sleep(0.1)
            candidate = running.state().candidate
            return candidate is not None and "No module named" in (candidate.why or "")

        assert eventually(is_said, 60)
        assert running.judge().json()["libraries"] == OURS
        running.client.close()


def _empty(folder: Path) -> Path:
    path = folder / "empty.txt"
    path.write_text("# nothing\n")
    return path
