"""Streams, images and files of a migrated service as callers get them, in each placement."""

import hashlib
import itertools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from comparison.pairs.reader import load_pairs, read_pairs
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.answers_alone import answers_alone, payload
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT
from tests.support.remote_candidate import PLACEMENTS, candidate_for

FLAG = "writer-v2"
OWN = ("date", "server", "x-bentoml-request-id", "etag", "last-modified", "content-length")
"""Headers that differ between answers, and the length, which the body shows anyway."""

ASKED: dict[str, dict[str, Any]] = {
    "text stream": {"url": "/write", "json": {"prompt": "hello"}},
    "stream of a thread": {"url": "/count", "json": {"upto": 3}},
    "stream of models": {"url": "/tokens", "json": {"words": ["a", "bé"]}},
    "stream of arrays": {"url": "/arrays", "json": {"sizes": [2, 300, 1]}},
    "empty stream": {"url": "/tokens", "json": {"words": []}},
    "PNG": {"url": "/draw", "json": {"size": 4}},
    "JPEG": {"url": "/draw", "json": {"size": 32}},
    "file": {"url": "/report", "json": {"rows": 3}},
    "bytes of an upload": {"url": "/reverse", "upload": ("a.txt", "abc")},
    "refused": {"url": "/write", "json": {"prompt": "refused"}},
}


class Running:
    """The served service, its flag, the gates of its models, and its pairs."""

    def __init__(self, url: str, folder: Path, placement: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60)
        self.placement = placement
        self._folder = folder
        self._numbers = itertools.count()

    def answer_by(self, side: str) -> None:
        """Make `side` active and wait until the worker has seen it."""
        write_flags_file(self._folder / "flags.json", FLAG, 100 if side == "candidate" else 0)
        assert eventually(lambda: self.ask("text stream").headers["X-Model-Side"] == side, 60)

    def ask(self, what: str) -> httpx.Response:
        """Ask for one of ASKED under a request id of its own."""
        asked = ASKED[what]
        return self.client.post(asked["url"], headers=self.named(), **payload(asked))

    def named(self) -> dict[str, str]:
        """Return the header of a new request id."""
        return {"X-Request-Id": f"r{next(self._numbers)}"}

    def gate(self, of: str = "both") -> str:
        """Return the name of a new gate, closed; one of v2 is open for v1."""
        return f"{of}-gate{next(self._numbers)}"

    def open(self, gate: str) -> None:
        """Let the models through."""
        (self._folder / "gates" / gate).touch()

    def has_left(self, gate: str, name: str) -> bool:
        """Say whether the model has stopped that streamed through `gate`."""
        return (self._folder / "gates" / f"{gate}.left-by-{name}").exists()

    def pair(self, response: httpx.Response) -> pd.Series:
        """Return the one pair of a request, once it is on disk."""
        found = pd.DataFrame()

        def is_there() -> bool:
            nonlocal found
            frame = self.pairs()
            found = frame[frame["request_id"] == response.headers["X-Request-Id"]]
            time.sleep(0.05)  # reading them all takes processor time from the service
            return len(found) > 0

        assert eventually(is_there, 60)
        assert len(found) == 1
        return found.iloc[0]

    def candidate_processes(self) -> list[int]:
        """Return the process ids of the candidate, one after the other."""
        text = (self._folder / "gates" / "processes-of-v2").read_text()
        return [int(pid) for pid in text.split()]

    def pairs(self) -> pd.DataFrame:
        """Return all pairs on disk."""
        return load_pairs(self._folder / "pairs")

    @property
    def completeness(self) -> float | None:
        """Return the share of pairs that are there."""
        return read_pairs(self._folder / "pairs").accounting.completeness


@pytest.fixture(scope="module", params=PLACEMENTS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    pytest.importorskip("PIL", reason="images need pillow")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "gates").mkdir()
    write_flags_file(folder / "flags.json", FLAG, 0)
    settings = environment(
        folder / "bentoml",
        PLACEMENT=request.param,
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        GATES=str(folder / "gates"),
        CANDIDATE_TIMEOUT="60",  # none of these tests is about speed
        SHADOW_TIMEOUT="60",
        CANDIDATE_ITEM_TIMEOUT="10",  # but one
    )
    target = "tests.support.services.streamed"
    log = folder / "service.log"
    with (
        candidate_for(
            request.param, f"{target}:WriterV2", folder, GATES=str(folder / "gates")
        ) as link,
        Serving(
            f"{target}:Writer", environment={**settings, **link}, log=log, folder=ROOT
        ) as serving,
    ):
        running = Running(serving.url, folder, request.param)
        with running.client:
            yield running


@pytest.fixture(params=["primary", "candidate"])
def side(request: pytest.FixtureRequest, running: Running) -> str:
    running.answer_by(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, httpx.Response]]:
    """Return the answers of both services without this plugin."""
    home = tmp_path_factory.mktemp("alone")
    services = {"primary": "WriterV1", "candidate": "WriterV2"}
    return {
        side: answers_alone(f"tests.support.services.streamed:{name}", ASKED, home)
        for side, name in services.items()
    }


@pytest.mark.parametrize("what", ASKED)
def test_an_answer_is_the_one_that_the_side_gives_alone(
    running: Running, side: str, what: str, alone: dict[str, dict[str, httpx.Response]]
) -> None:
    """Status, body and headers: content type, the context's own, a file's name."""
    expected, answer = alone[side][what], running.ask(what)
    assert answer.status_code == expected.status_code
    assert answer.content == expected.content
    assert headers_of(expected).items() <= headers_of(answer).items()


def headers_of(response: httpx.Response) -> dict[str, str]:
    own = (*OWN, "accept-ranges", "transfer-encoding")
    return {name: value for name, value in response.headers.items() if name not in own}


@pytest.mark.parametrize("what", [what for what in ASKED if what != "refused"])
def test_the_pair_holds_what_both_sides_have_sent(
    running: Running, side: str, what: str, alone: dict[str, dict[str, httpx.Response]]
) -> None:
    pair = running.pair(running.ask(what))
    assert (pair["served"], pair["fallback"]) == (side, False)
    for each in ("primary", "candidate"):
        sent = alone[each][what].content
        assert pair[f"{each}_status"] == "ok"
        assert pair[f"{each}_length"] == len(sent)
        assert pair[f"{each}_digest"] == hashlib.sha256(sent).hexdigest()
        if "stream" in what:
            items = {"empty stream": 0, "stream of models": 2}.get(what, 3)
            assert pair[f"{each}_items"] == items
            assert pd.isna(pair[f"{each}_first_item"]) == (items == 0)
            assert items == 0 or 0 < pair[f"{each}_first_item"] <= pair[f"{each}_duration"]
        else:
            assert pd.isna(pair[f"{each}_items"])


def test_a_score_is_read_from_the_whole_stream(running: Running, side: str) -> None:
    text, numbers = running.ask("text stream"), running.ask("stream of a thread")
    assert running.pair(text)[f"{side}_score"] == len(text.text)
    assert running.pair(numbers)["candidate_score.score"] == 3
    assert running.pair(running.ask("stream of models"))["primary_score.tokens"] == 2


def test_a_score_is_read_from_an_image_and_from_a_file(running: Running, side: str) -> None:
    assert running.pair(running.ask("JPEG"))["primary_score.width"] == 32
    assert running.pair(running.ask("file"))["candidate_score.size"] == 12


@pytest.mark.parametrize("route", ["/write", "/count"])
def test_an_item_reaches_the_caller_before_the_next_one_is_made(
    running: Running, side: str, route: str
) -> None:
    """The models make their second item after the caller has got the first: or all would hang."""
    gate, name = running.gate(), "v1" if side == "primary" else "v2"
    body = {"prompt": f"x@{gate}"} if route == "/write" else {"upto": 2, "gate": gate}
    with running.client.stream("POST", route, json=body, headers=running.named()) as response:
        chunks = response.iter_raw()
        assert next(chunks) == (f"data: {name}\n\n" if route == "/write" else "0\n").encode()
        assert response.headers["X-Model-Side"] == side
        running.open(gate)
        rest = b"".join(chunks)
    assert rest == ("data: x\n\ndata: ünïcode\n\n" if route == "/write" else "1\n").encode()
    assert running.pair(response)["candidate_items"] == (3 if route == "/write" else 2)


def test_a_caller_that_leaves_ends_the_model_s_stream_and_makes_one_pair(
    running: Running, side: str
) -> None:
    gate, name = running.gate(), "v1" if side == "primary" else "v2"
    shadow = "candidate" if side == "primary" else "primary"
    body = {"prompt": f"x@{gate}"}
    with running.client.stream("POST", "/write", json=body, headers=running.named()) as response:
        next(response.iter_raw())
    assert eventually(lambda: running.has_left(gate, name), 60)  # without having passed the gate
    running.open(gate)
    pair = running.pair(response)
    assert (pair["served"], pair[f"{side}_status"], pair[f"{side}_items"]) == (side, "ok", 1)
    assert pair[f"{side}_error"] == "CallerLeftError"
    assert pd.isna(pair[f"{side}_digest"])
    assert (pair[f"{shadow}_status"], pair[f"{shadow}_items"]) == ("ok", 3)


def test_a_candidate_that_fails_before_its_first_item_costs_nothing(running: Running) -> None:
    running.answer_by("candidate")
    answer = running.client.post("/write", json={"prompt": "raises"}, headers=running.named())
    assert answer.status_code == 201
    assert answer.text == "data: v1\n\ndata: raises\n\ndata: ünïcode\n\n"
    assert answer.headers["X-Written-By"] == "v1"
    pair = running.pair(answer)
    assert (pair["served"], pair["fallback"]) == ("primary", True)
    assert (pair["primary_status"], pair["candidate_status"]) == ("ok", "error")
    assert pair["primary_digest"] == hashlib.sha256(answer.content).hexdigest()


def test_a_candidate_that_fails_later_ends_the_stream(running: Running) -> None:
    """Like a failure of the primary alone: BentoML logs it, and the body ends there."""
    running.answer_by("candidate")
    answer = running.client.post("/write", json={"prompt": "breaks"}, headers=running.named())
    assert answer.text == "data: v2\n\n"
    pair = running.pair(answer)
    assert (pair["served"], pair["fallback"]) == ("candidate", False)
    assert (pair["candidate_items"], pair["primary_items"]) == (1, 3)
    # The process of a runner ends the stream as if it were complete: nobody can tell.
    assert pair["candidate_status"] == (
        "ok" if running.placement in ("runners", "remote") else "error"
    )


@pytest.fixture
def isolated(running: Running) -> Running:
    """Return the service whose candidate is active in a process of its own."""
    if running.placement != "isolated":
        pytest.skip("this is about the process that `isolated` gives to the candidate")
    running.answer_by("candidate")
    return running


def test_a_candidate_that_ends_in_the_middle_ends_its_stream_and_is_started_anew(
    isolated: Running,
) -> None:
    gate, before = isolated.gate("v2"), isolated.candidate_processes()
    body = {"upto": 2, "gate": gate}
    with isolated.client.stream("POST", "/count", json=body, headers=isolated.named()) as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"0\n"
        os.kill(before[-1], signal.SIGKILL)
        assert b"".join(chunks) == b""
    pair = isolated.pair(response)
    assert (pair["served"], pair["fallback"]) == ("candidate", False)
    assert (pair["candidate_status"], pair["candidate_error"]) == ("error", "SideDownError")
    assert (pair["primary_status"], pair["primary_items"]) == ("ok", 2)
    isolated.answer_by("candidate")
    assert isolated.candidate_processes()[:-1] == before


def test_a_candidate_that_hangs_in_the_middle_ends_its_stream_and_is_started_anew(
    isolated: Running,
) -> None:
    gate, before = isolated.gate("v2"), isolated.candidate_processes()
    body = {"upto": 2, "gate": gate}
    answer = isolated.client.post("/count", json=body, headers=isolated.named())
    assert answer.text == "0\n"
    pair = isolated.pair(answer)
    assert (pair["candidate_status"], pair["candidate_error"]) == ("timeout", "TimeoutError")
    isolated.answer_by("candidate")
    assert eventually(lambda: isolated.candidate_processes()[:-1] == before, 60)


def test_a_caller_that_leaves_a_busy_thread_does_not_cost_its_process(isolated: Running) -> None:
    """The thread makes an item for a caller that has left; it does not hang."""
    gate, before = isolated.gate("v2"), isolated.candidate_processes()
    body = {"upto": 1000, "gate": gate}
    with isolated.client.stream("POST", "/count", json=body, headers=isolated.named()) as response:
        assert next(response.iter_raw()) == b"0\n"
    pair = isolated.pair(response)  # which does not wait for the thread at its gate
    isolated.open(gate)
    assert (pair["candidate_status"], pair["candidate_error"]) == ("ok", "CallerLeftError")
    assert (pair["candidate_items"], pair["primary_items"]) == (1, 1000)
    assert isolated.ask("stream of a thread").headers["X-Model-Side"] == "candidate"
    assert isolated.candidate_processes() == before


def test_no_pair_was_lost(running: Running) -> None:
    assert running.completeness == 1
