"""Callers that leave in the middle of a stream: still one pair per request."""

import asyncio
from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.observation import Status
from flags.pairing.request import Request
from flags.pairing.streams.side_stream import SideStream
from tests.support.fakes import Release, until
from tests.support.scripted_streams import (
    NEVER,
    ScriptedPairing,
    either_kind,
)


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_a_caller_that_leaves_between_two_items_makes_a_pair(
    active: Side, is_async: bool
) -> None:
    setting = ScriptedPairing(active, is_async=is_async)
    model = setting.primary if active is Side.PRIMARY else setting.candidate
    items = (await setting.answer()).items()
    await anext(items)
    await items.aclose()
    pair = await setting.pair()
    seen = pair.observation(active)
    assert (pair.served, seen.status, seen.error) == (active, Status.OK, "CallerLeftError")
    assert seen.content is not None
    assert (seen.content.items, seen.content.digest) == (1, None)
    assert pair.observation(active.other).status is Status.OK
    assert (len(model.made), model.ended) == (1, 1)  # the model has stopped, too


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_a_caller_that_leaves_while_an_item_is_made_makes_a_pair(
    active: Side, is_async: bool, gate: Release
) -> None:
    """A server does not close the generator that it drops; it cancels the task."""
    steps = {"primary": ["1", gate, "2"], "candidate": ["1", gate, "2"]}
    setting = ScriptedPairing(active, is_async=is_async, **steps)
    model = setting.primary if active is Side.PRIMARY else setting.candidate
    taking = asyncio.create_task(setting.taken())
    await until(gate.reached.is_set)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    if is_async:
        await until(lambda: model.ended)  # cancelled at once
    gate.open()
    pair = await setting.pair()
    assert (pair.served, pair.observation(active).error) == (active, "CallerLeftError")
    await until(lambda: model.ended)
    assert pair.observation(active.other).status is Status.OK


@pytest.mark.parametrize("active", Side)
async def test_a_caller_that_leaves_before_the_first_item_makes_a_pair(
    active: Side, gate: Release
) -> None:
    steps = {"primary": [gate, "1"], "candidate": [gate, "1"]}
    setting = ScriptedPairing(active, is_async=True, **steps)
    answering = asyncio.create_task(setting.answer())
    await gate.is_reached()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    gate.open()
    pair = await setting.pair()
    assert pair.served is None
    assert pair.observation(active.other).status is Status.OK


@pytest.mark.parametrize("active", Side)
async def test_the_first_item_of_a_primary_is_cancelled_with_its_request(
    active: Side, gate: Release
) -> None:
    """Even if it would never come."""
    refused: list[Any] = [ValueError("the candidate fails")]
    steps = {"primary": [gate, "1"], "candidate": refused if active is Side.CANDIDATE else ["1"]}
    setting = ScriptedPairing(active, is_async=True, **steps)
    answering = asyncio.create_task(setting.answer())
    await gate.is_reached()
    await until(lambda: active is Side.PRIMARY or setting.candidate.ended)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    pair = await setting.pair()  # the gate was never opened
    assert setting.primary.ended == 1
    assert (pair.served, pair.primary.status) == (None, Status.TIMEOUT)
    assert pair.primary.error == "CallerLeftError"


async def test_a_caller_that_leaves_as_its_stream_is_handed_over_makes_a_pair() -> None:
    """In the iteration of the event loop after the answer was delivered, before it is taken."""
    setting = ScriptedPairing(Side.PRIMARY, is_async=True)
    answering = asyncio.create_task(setting.pairing.answer(Request.of("r1", 1)))
    deliver = setting.pairing._streams[Side.PRIMARY].at_first_item

    def leave_too(stream: SideStream) -> Any:
        asyncio.get_running_loop().call_soon(answering.cancel)
        return deliver(stream)

    setting.pairing._streams[Side.PRIMARY].at_first_item = leave_too  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert (await setting.pair()).primary.error == "CallerLeftError"


async def test_a_thread_that_makes_an_item_for_nobody_is_not_taken_for_one_that_hangs(
    gate: Release,
) -> None:
    """A caller that leaves must not shed the streams of others."""
    setting = ScriptedPairing(
        Side.PRIMARY, is_async=False, primary=["p1", gate, "p2"], primary_timeout=NEVER
    )
    taking = asyncio.create_task(setting.taken())
    await gate.is_reached()
    taking.cancel()
    next_one = asyncio.create_task(setting.pairing.answer(Request.of("r2", 1)))
    await asyncio.sleep(0.01)
    gate.open()
    stream = (await asyncio.wait_for(next_one, 20)).value
    assert [item async for item in stream.items()] == ["p1", "p2"]
    await setting.pairing.drain(NEVER)
    setting.pairing.close()
    assert {pair.primary.status for pair in setting.sink.pairs} == {Status.OK}
