"""A pairing used from synchronous code, on a thread of its own."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flags import BlockingPairing, InMemoryPairs, Limits, Pairing, Reading, Request, Scorer, Side
from flags.pairing.side_threads import SideThreads
from tests.support.fakes import (
    Conduct,
    FakeModel,
    FixedAssignment,
    ModelError,
    Release,
    answer_of,
    eventually,
)

READING = Reading.of("probability")


def pairing_of(
    primary: Any, candidate: Any, pairs: InMemoryPairs, threads: SideThreads | None = None
) -> Pairing:
    return Pairing(
        Scorer(Side.PRIMARY, primary, READING),
        Scorer(Side.CANDIDATE, candidate, READING, threads=threads),
        assign=FixedAssignment(Side.PRIMARY),
        reading=READING,
        sink=pairs,
        limits=Limits(candidate_timeout=30, shadow_timeout=30),
    )


def test_answers_to_many_threads_make_one_pair_each() -> None:
    pairs = InMemoryPairs()
    with (
        BlockingPairing(pairing_of(FakeModel(), FakeModel(), pairs)) as pairing,
        ThreadPoolExecutor(4) as threads,
    ):
        requests = [Request.of(str(index), index) for index in range(20)]
        answers = list(threads.map(pairing.answer, requests))
    assert [answer.value for answer in answers] == [answer_of(0.7)] * 20
    assert sorted(int(pair.request_id) for pair in pairs.pairs) == list(range(20))


def test_the_primary_s_error_is_raised() -> None:
    pairs = InMemoryPairs()
    with (
        BlockingPairing(pairing_of(FakeModel(Conduct.RAISES), FakeModel(), pairs)) as pairing,
        pytest.raises(ModelError),
    ):
        pairing.answer(Request.of("r1", 1))
    assert len(pairs.pairs) == 1


def test_closing_waits_for_the_shadow(gate: Release) -> None:
    pairs = InMemoryPairs()
    candidate = FakeModel(Conduct.HANGS, gate=gate)
    pairing = BlockingPairing(pairing_of(FakeModel(), candidate, pairs))
    pairing.answer(Request.of("r1", 1))
    threading.Timer(0.05, gate.open).start()
    assert pairing.close() == 0
    assert len(pairs.pairs) == 1


def test_closing_says_how_many_pairs_were_left_and_ends_its_thread(
    gate: Release, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = InMemoryPairs()
    candidate = FakeModel(Conduct.HANGS, gate=gate)
    threads = SideThreads("left-behind")
    pairing = BlockingPairing(pairing_of(FakeModel(), candidate, pairs, threads))
    pairing.answer(Request.of("r1", 1))
    assert pairing.close(0.02) == 1
    assert "pairing" not in names_of_threads()
    gate.open()
    assert eventually(lambda: "left-behind-1" not in names_of_threads())
    del pairing
    gc.collect()
    assert "destroyed" not in caplog.text  # what asyncio says of tasks dropped while they wait


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}
