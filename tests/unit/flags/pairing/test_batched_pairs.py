"""Pairs that are recorded together are all recorded, in their order, and soon."""

import asyncio
import logging

import pytest

from flags.pairing.batched_pairs import BatchedPairs
from flags.pairing.observation import InMemoryPairs, Pair
from tests.support.fakes import until
from tests.unit.flags.export.test_spans import pair_of


def made(number: int) -> list[Pair]:
    """Return as many pairs, r0, r1, ..."""
    return [pair_of(f"r{each}") for each in range(number)]


async def test_all_are_handed_on_in_their_order_a_moment_after_the_first() -> None:
    sink = InMemoryPairs()
    gathered, pairs = BatchedPairs(sink), made(4)
    for pair in pairs[:3]:
        gathered.record(pair)
    assert sink.pairs == []
    await until(lambda: sink.pairs)
    assert sink.pairs == pairs[:3]
    gathered.record(pairs[3])
    await until(lambda: len(sink.pairs) == 4)


async def test_a_flush_leaves_nothing_for_later() -> None:
    sink = InMemoryPairs()
    gathered, pairs = BatchedPairs(sink), made(2)
    for pair in pairs:
        gathered.record(pair)
    gathered.flush()
    assert sink.pairs == pairs
    await asyncio.sleep(0.1)
    assert sink.pairs == pairs


async def test_one_that_cannot_be_recorded_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class RefusesTheFirst(InMemoryPairs):
        def record(self, pair: Pair) -> None:
            if pair.request_id == "r0":
                raise OSError("refused")
            super().record(pair)

    sink = RefusesTheFirst()
    gathered = BatchedPairs(sink)
    for pair in made(3):
        gathered.record(pair)
    with caplog.at_level(logging.ERROR):
        gathered.flush()
    assert [pair.request_id for pair in sink.pairs] == ["r1", "r2"]
    assert "the pair of request r0 could not be recorded" in caplog.text
