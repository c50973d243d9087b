"""The promises for streams: one pair per request, the primary's stream until the candidate's first
item is there, nothing made before it is wanted.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.call import Call
from flags.pairing.observation import Status
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.streams.scorer import StreamScorer
from tests.support.fakes import ModelError, Release, Uncopyable, until
from tests.support.scripted_streams import (
    CANDIDATE,
    NEVER,
    PRIMARY,
    ScriptedPairing,
    either_kind,
    sent,
)


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_the_active_stream_is_passed_on_and_both_are_observed(
    active: Side, is_async: bool
) -> None:
    setting = ScriptedPairing(active, is_async=is_async)
    assert await setting.taken() == (PRIMARY if active is Side.PRIMARY else CANDIDATE)
    pair = await setting.pair()
    assert (pair.served, pair.fallback) == (active, False)
    assert sent(pair.primary, PRIMARY)
    assert sent(pair.candidate, CANDIDATE)
    for seen in (pair.primary, pair.candidate):
        assert (seen.status, seen.error) == (Status.OK, None)
        assert seen.content is not None
        assert seen.content.first_item is not None
        assert seen.duration is not None
        assert 0 <= seen.content.first_item <= seen.duration
    assert (pair.primary.model, pair.candidate.model) == ("v1:1", "v2:1")


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_nothing_is_made_before_it_is_wanted(active: Side, is_async: bool) -> None:
    """An item is sent before the next one is made; the insurance waits at its first item."""
    setting = ScriptedPairing(active, is_async=is_async)
    model = setting.primary if active is Side.PRIMARY else setting.candidate
    items = (await setting.answer()).items()
    for count in (1, 2, 3):
        await anext(items)
        assert len(model.made) == count
    assert await anext(items, None) is None
    await setting.pair()


@either_kind
async def test_the_shadow_is_begun_after_the_answer_when_the_primary_is_active(
    is_async: bool,
) -> None:
    setting = ScriptedPairing(Side.PRIMARY, is_async=is_async)
    items = (await setting.answer()).items()
    await anext(items)
    await anext(items)
    assert setting.candidate.made == []
    assert [item async for item in items] == ["p3"]
    await setting.pair()
    assert setting.candidate.made == CANDIDATE


@either_kind
async def test_the_primary_is_begun_at_once_when_the_candidate_is_active(
    is_async: bool, gate: Release
) -> None:
    """The insurance waits at its first item until the candidate has its first item."""
    setting = ScriptedPairing(Side.CANDIDATE, is_async=is_async, candidate=[gate, *CANDIDATE])
    taking = asyncio.create_task(setting.taken())
    await gate.is_reached()
    await until(lambda: setting.primary.made)
    await asyncio.sleep(0.01)
    assert setting.primary.made == ["p1"]
    gate.open()
    assert await taking == CANDIDATE
    assert sent((await setting.pair()).primary, PRIMARY)


@either_kind
async def test_the_primary_s_shadow_is_taken_while_the_caller_still_waits(
    is_async: bool, gate: Release
) -> None:
    setting = ScriptedPairing(Side.CANDIDATE, is_async=is_async, candidate=["c1", gate, "c2"])
    taking = asyncio.create_task(setting.taken())
    await gate.is_reached()
    await until(lambda: setting.primary.made == PRIMARY)
    gate.open()
    assert await taking == ["c1", "c2"]
    await setting.pair()


FAILURES = {
    "raises": [ModelError()],
    "exits": [SystemExit(3)],
    "yields what cannot be sent": [lambda: None],
}


@either_kind
@pytest.mark.parametrize("shadow", [True, False], ids=["insured", "no shadow"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_candidate_that_fails_before_its_first_item_is_replaced_by_the_primary(
    failure: str, shadow: bool, is_async: bool
) -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE,
        is_async=is_async,
        candidate=[*FAILURES[failure], "c1"],
        shadow=shadow,
    )
    assert await setting.taken() == PRIMARY
    pair = await setting.pair()
    assert (pair.served, pair.fallback) == (Side.PRIMARY, True)
    assert sent(pair.primary, PRIMARY)
    assert (pair.candidate.status, pair.candidate.content) == (Status.ERROR, None)


@pytest.mark.parametrize("call", [Uncopyable()])
async def test_an_input_that_cannot_be_copied_fails_the_candidate_only(call: Any) -> None:
    setting = ScriptedPairing(Side.CANDIDATE, is_async=True)
    answer = await setting.pairing.answer(Request.of("r1", call))
    assert [item async for item in answer.value.items()] == PRIMARY
    assert (await setting.pair()).candidate.error == "TypeError"


@either_kind
async def test_a_candidate_that_fails_later_ends_the_stream_as_an_error(is_async: bool) -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE, is_async=is_async, candidate=["c1", ModelError(), "c2"]
    )
    items = (await setting.answer()).items()
    assert await anext(items) == "c1"
    with pytest.raises(ModelError):
        await anext(items)
    pair = await setting.pair()
    assert (pair.served, pair.fallback) == (Side.CANDIDATE, False)
    assert (pair.candidate.status, pair.candidate.error) == (Status.ERROR, "ModelError")
    assert pair.candidate.content is not None
    assert (pair.candidate.content.items, pair.candidate.content.digest) == (1, None)
    assert sent(pair.primary, PRIMARY)


@either_kind
async def test_the_error_of_an_active_primary_is_the_caller_s(is_async: bool) -> None:
    setting = ScriptedPairing(Side.PRIMARY, is_async=is_async, primary=[ModelError()])
    with pytest.raises(ModelError):
        await setting.answer()
    pair = await setting.pair()
    assert (pair.served, pair.primary.status) == (None, Status.ERROR)
    assert sent(pair.candidate, CANDIDATE)


@either_kind
async def test_if_both_fail_the_caller_gets_the_primary_s_error(is_async: bool) -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE,
        is_async=is_async,
        primary=[ModelError("the primary's")],
        candidate=[ValueError()],
    )
    with pytest.raises(ModelError, match="the primary's"):
        await setting.answer()
    pair = await setting.pair()
    assert (pair.served, pair.candidate.error) == (None, "ValueError")


async def test_a_shadow_that_is_switched_off_is_skipped() -> None:
    setting = ScriptedPairing(Side.CANDIDATE, is_async=True, shadow=False)
    assert await setting.taken() == CANDIDATE
    assert setting.primary.made == []
    assert (await setting.pair()).primary.status is Status.SKIPPED


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_an_empty_stream_is_an_answer(active: Side, is_async: bool) -> None:
    setting = ScriptedPairing(active, is_async=is_async, primary=[], candidate=[])
    assert await setting.taken() == []
    pair = await setting.pair()
    assert (pair.served, pair.fallback) == (active, False)
    assert sent(pair.primary, [])
    assert sent(pair.candidate, [])


async def test_all_turns_of_an_asynchronous_stream_are_one_task_s() -> None:
    """A model may enter a context (a time limit, a span) in one item and leave it in another."""
    tasks: list[Any] = []

    async def model(_: int) -> AsyncGenerator[str, None]:
        async with asyncio.timeout(NEVER):
            for word in "abc":
                tasks.append(asyncio.current_task())
                yield word

    scorer = StreamScorer(Side.PRIMARY, model, Reading.nothing())
    stream = scorer.open(Call((1,)))
    assert await stream.begin(None)
    assert [item async for item in stream.items()] == ["a", "b", "c"]
    assert len(set(tasks)) == 1
    assert (await scorer.end(stream)).ok
