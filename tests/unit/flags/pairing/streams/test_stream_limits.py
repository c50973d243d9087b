"""The limits of streams: time, concurrent shadows, threads."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.call import Call
from flags.pairing.observation import Status
from flags.pairing.reading import Reading
from flags.pairing.side_threads import SideThreads
from flags.pairing.streams.scorer import StreamScorer
from tests.support.fakes import BusyThreads, FakeClock, ModelError, Release, until
from tests.support.scripted_streams import (
    CANDIDATE,
    NEVER,
    PRIMARY,
    SOON,
    Script,
    ScriptedPairing,
    either_kind,
)


@either_kind
async def test_a_first_item_that_is_late_is_a_failure_too(is_async: bool, gate: Release) -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE, is_async=is_async, candidate=[gate, "c1"], candidate_timeout=SOON
    )
    assert await setting.taken() == PRIMARY
    gate.open()
    pair = await setting.pair()
    assert (pair.served, pair.fallback) == (Side.PRIMARY, True)
    assert (pair.candidate.status, pair.candidate.error) == (Status.TIMEOUT, "TimeoutError")
    assert pair.candidate.duration == SOON


@either_kind
async def test_a_candidate_that_hangs_between_two_items_ends_the_stream(
    is_async: bool, gate: Release
) -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE,
        is_async=is_async,
        candidate=["c1", gate, "c2"],
        candidate_item_timeout=SOON,
    )
    items = (await setting.answer()).items()
    assert await anext(items) == "c1"
    with pytest.raises(TimeoutError, match=r"the candidate took longer than 0\.3 s"):
        await anext(items)
    gate.open()
    assert (await setting.pair()).candidate.status is Status.TIMEOUT


@either_kind
async def test_the_time_of_the_caller_is_not_the_model_s(
    is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(
        "flags.pairing.call.time", SimpleNamespace(perf_counter=clock, thread_time=clock)
    )
    setting = ScriptedPairing(Side.CANDIDATE, is_async=is_async)
    async for _ in (await setting.answer()).items():
        clock.advance(100)
    seen = (await setting.pair()).candidate
    assert (seen.status, seen.duration) == (Status.OK, 0)


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_a_shadow_that_never_ends_is_left_at_its_limit(
    active: Side, is_async: bool, gate: Release
) -> None:
    endless = {"primary": ["p1", gate]} if active is Side.CANDIDATE else {"candidate": ["c1", gate]}
    setting = ScriptedPairing(active, is_async=is_async, shadow_timeout=SOON, **endless)
    await setting.taken()
    assert await setting.pairing.drain(NEVER) == 0
    gate.open()
    seen = (await setting.pair()).observation(active.other)
    assert (seen.status, seen.error) == (Status.TIMEOUT, "TimeoutError")
    assert seen.content is None or seen.content.digest is None


@either_kind
async def test_an_insurance_that_does_not_come_to_its_first_item_is_left_at_its_limit(
    is_async: bool, gate: Release
) -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE, is_async=is_async, primary=[gate, "p1"], shadow_timeout=SOON
    )
    assert await setting.taken() == CANDIDATE
    pair = await setting.pair()
    gate.open()
    assert (pair.primary.status, pair.primary.content) == (Status.TIMEOUT, None)


@either_kind
async def test_a_primary_past_its_own_limit_is_a_timeout_for_the_caller(
    is_async: bool, gate: Release
) -> None:
    setting = ScriptedPairing(
        Side.PRIMARY, is_async=is_async, primary=[gate, "p1"], primary_timeout=SOON
    )
    with pytest.raises(TimeoutError):
        await setting.answer()
    gate.open()
    assert (await setting.pair()).primary.status is Status.TIMEOUT


@pytest.mark.parametrize("active", Side)
async def test_streams_of_threads_share_one_thread_between_their_items(active: Side) -> None:
    """A slow caller occupies no thread."""
    setting = ScriptedPairing(active, is_async=False, shadow=False)
    first, second = (await setting.answer()).items(), (await setting.answer()).items()
    took = [await anext(items) for _ in range(3) for items in (first, second)]
    assert took == [
        item for item in (PRIMARY if active is Side.PRIMARY else CANDIDATE) for _ in "12"
    ]
    assert [await anext(items, None) for items in (first, second)] == [None, None]
    await setting.pairing.drain(NEVER)
    setting.pairing.close()


@pytest.mark.parametrize("active", Side)
async def test_shadows_beyond_the_limit_are_shed_and_there_is_room_after_them(
    active: Side, gate: Release
) -> None:
    steps = {"primary": [*PRIMARY, gate], "candidate": [*CANDIDATE, gate]}
    del steps[active.value]
    setting = ScriptedPairing(active, is_async=True, shadow_concurrency=1, **steps)
    for _ in range(3):
        await setting.taken()
    await until(lambda: len(setting.sink.pairs) == 2)
    shed = [pair.observation(active.other).status for pair in setting.sink.pairs]
    assert shed == [Status.SHED] * 2
    gate.open()
    assert await setting.pairing.drain(NEVER) == 0
    await setting.taken()
    assert await setting.pairing.drain(NEVER) == 0
    assert setting.sink.pairs[-1].observation(active.other).status is Status.OK
    setting.pairing.close()


async def test_a_primary_that_was_shed_is_begun_when_the_candidate_fails() -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE, is_async=True, candidate=[ModelError()], shadow_concurrency=0
    )
    assert await setting.taken() == PRIMARY
    assert (await setting.pair()).fallback


async def test_a_model_that_swallows_its_cancellation_costs_its_limit_only(gate: Release) -> None:
    async def stubborn(*_: Any) -> AsyncGenerator[str, None]:
        while not gate.opened.is_set():
            try:
                await asyncio.sleep(0.002)
            except asyncio.CancelledError:
                gate.reached.set()
        yield "late"

    scorer = StreamScorer(Side.CANDIDATE, stubborn, Reading.nothing())
    stream = scorer.open(Call())
    assert not await stream.begin(SOON)
    assert (await asyncio.wait_for(scorer.end(stream), 20)).observation.status is Status.TIMEOUT
    await gate.is_reached()
    gate.open()


@pytest.mark.parametrize("active", Side)
async def test_a_shadow_whose_first_turn_waits_in_line_for_its_whole_limit_is_shed(
    active: Side, gate: Release
) -> None:
    busy = {active.other: BusyThreads(gate)}
    setting = ScriptedPairing(active, is_async=False, threads=busy, shadow_timeout=SOON)
    assert await setting.taken() == (PRIMARY if active is Side.PRIMARY else CANDIDATE)
    seen = (await setting.pair()).observation(active.other)
    assert (seen.status, seen.error) == (Status.SHED, "SideBusyError")
    assert (seen.duration, seen.content) == (None, None)
    gate.open()


async def test_a_stream_that_has_begun_and_then_waits_in_line_has_timed_out(
    gate: Release,
) -> None:
    threads = SideThreads("one")  # still free when the stream begins
    scorer = StreamScorer(
        Side.CANDIDATE, Script(["c1", "c2"]).model(False), Reading.nothing(), threads=threads
    )
    stream = scorer.open(Call())
    assert await stream.begin(NEVER)
    threads.submit(gate.wait)
    await gate.is_reached()
    await stream.consume(SOON)
    gate.open()
    seen = (await scorer.end(stream)).observation
    assert seen.status is Status.TIMEOUT
    assert seen.content is not None
    assert seen.content.items == 1
    scorer.close()


async def test_streams_are_shed_while_every_thread_hangs(gate: Release) -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE, is_async=False, candidate=[gate, "c1"], candidate_timeout=SOON
    )
    assert await setting.taken() == PRIMARY
    assert await setting.taken() == PRIMARY
    assert await setting.pairing.drain(NEVER) == 0
    seen = [pair.candidate for pair in setting.sink.pairs]
    assert [each.status for each in seen] == [Status.TIMEOUT, Status.SHED]
    assert seen[1].error == "SideStuckError"
    gate.open()
    setting.pairing.close()
