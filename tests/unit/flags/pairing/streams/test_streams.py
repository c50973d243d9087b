"""The promises for streams: one pair per request, the primary's stream until the candidate's first
item is there, nothing made before it is wanted.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.call import Call
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Observation, Pair, Status
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.side_threads import SideThreads
from flags.pairing.streams.digest import KEPT_BYTES
from flags.pairing.streams.pairing import StreamPairing
from flags.pairing.streams.scorer import StreamScorer
from flags.pairing.streams.side_stream import SideStream
from tests.support.fakes import (
    BusyThreads,
    FakeClock,
    FixedAssignment,
    ModelError,
    Release,
    Uncopyable,
    until,
)

NEVER, SOON = 30.0, 0.3
"""Limits in seconds: one that no test reaches, and one for what would never end by itself, and has
begun by then.
"""

PRIMARY, CANDIDATE = ["p1", "p2", "p3"], ["c1", "c2", "c3"]


class Script:
    """What a streaming model does: yields the items of a list, calls what can be called there."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps
        self.made: list[Any] = []
        self.ended = 0

    def __call__(self, *_: Any) -> Generator[Any, None, None]:
        try:
            for step in self.steps:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, Release):
                    step.wait()
                    continue
                self.made.append(step)
                yield step
        finally:
            self.ended += 1

    async def run_async(self, *_: Any) -> AsyncGenerator[Any, None]:
        try:
            for step in self.steps:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, Release):
                    await step.wait_async()
                    continue
                self.made.append(step)
                yield step
        finally:
            self.ended += 1

    def model(self, is_async: bool) -> Callable[..., Any]:
        """Return a generator function of either kind, as BentoML's APIs are."""

        def items(*args: Any) -> Generator[Any, None, None]:
            yield from self(*args)

        async def items_async(*args: Any) -> AsyncGenerator[Any, None]:
            async for item in self.run_async(*args):
                yield item

        return items_async if is_async else items


class Setting:
    """A pairing of two scripts, its pairs, and both models' doings."""

    def __init__(
        self,
        active: Side,
        *,
        is_async: bool,
        primary: list[Any] | None = None,
        candidate: list[Any] | None = None,
        shadow: bool = True,
        reading: Reading | None = None,
        threads: Mapping[Side, SideThreads] | None = None,
        **limits: Any,
    ) -> None:
        self.primary = Script(PRIMARY if primary is None else primary)
        self.candidate = Script(CANDIDATE if candidate is None else candidate)
        self.sink = InMemoryPairs()
        reading = reading or Reading.nothing()
        threads = threads or {}
        own = {"candidate_timeout": NEVER, "shadow_timeout": NEVER, **limits}
        self.pairing = StreamPairing(
            StreamScorer(
                Side.PRIMARY,
                self.primary.model(is_async),
                reading,
                tag="v1:1",
                threads=threads.get(Side.PRIMARY),
                unreadable_is_error=False,
            ),
            StreamScorer(
                Side.CANDIDATE,
                self.candidate.model(is_async),
                reading,
                tag="v2:1",
                threads=threads.get(Side.CANDIDATE),
            ),
            assign=FixedAssignment(active, shadow=shadow),
            reading=reading,
            sink=self.sink,
            limits=Limits(**own),
        )

    async def answer(self) -> SideStream:
        """Return the stream that answers a request."""
        answer = await asyncio.wait_for(self.pairing.answer(Request.of("r1", 1)), 20)
        stream: SideStream = answer.value
        return stream

    async def taken(self) -> list[str | bytes]:
        """Return all that a caller gets who takes everything."""
        return [item async for item in (await self.answer()).items()]

    async def pair(self) -> Pair:
        """Return the one pair, once everything is done."""
        assert await self.pairing.drain(NEVER) == 0
        self.pairing.close()
        (pair,) = self.sink.pairs
        return pair


def sent(observation: Observation, items: list[str]) -> bool:
    """Say whether an observation is that of these items, complete."""
    content, whole = observation.content, "".join(items).encode()
    return (
        content is not None
        and (content.items, content.length) == (len(items), len(whole))
        and content.digest == hashlib.sha256(whole).hexdigest()
    )


either_kind = pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_the_active_stream_is_passed_on_and_both_are_observed(
    active: Side, is_async: bool
) -> None:
    setting = Setting(active, is_async=is_async)
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
    """An item leaves before the next one is made; the insurance waits at its first item."""
    setting = Setting(active, is_async=is_async)
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
    setting = Setting(Side.PRIMARY, is_async=is_async)
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
    """And goes no further than its first item until the candidate has its own."""
    setting = Setting(Side.CANDIDATE, is_async=is_async, candidate=[gate, *CANDIDATE])
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
    setting = Setting(Side.CANDIDATE, is_async=is_async, candidate=["c1", gate, "c2"])
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
    setting = Setting(
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


@either_kind
async def test_a_first_item_that_is_late_is_a_failure_too(is_async: bool, gate: Release) -> None:
    setting = Setting(
        Side.CANDIDATE, is_async=is_async, candidate=[gate, "c1"], candidate_timeout=SOON
    )
    assert await setting.taken() == PRIMARY
    gate.open()
    pair = await setting.pair()
    assert (pair.served, pair.fallback) == (Side.PRIMARY, True)
    assert (pair.candidate.status, pair.candidate.error) == (Status.TIMEOUT, "TimeoutError")
    assert pair.candidate.duration == SOON


@pytest.mark.parametrize("call", [Uncopyable()])
async def test_an_input_that_cannot_be_copied_fails_the_candidate_only(call: Any) -> None:
    setting = Setting(Side.CANDIDATE, is_async=True)
    answer = await setting.pairing.answer(Request.of("r1", call))
    assert [item async for item in answer.value.items()] == PRIMARY
    assert (await setting.pair()).candidate.error == "TypeError"


@either_kind
async def test_a_candidate_that_fails_later_ends_the_stream_as_an_error(is_async: bool) -> None:
    setting = Setting(Side.CANDIDATE, is_async=is_async, candidate=["c1", ModelError(), "c2"])
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
async def test_a_candidate_that_hangs_between_two_items_ends_the_stream(
    is_async: bool, gate: Release
) -> None:
    setting = Setting(
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
    setting = Setting(Side.CANDIDATE, is_async=is_async)
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
    setting = Setting(active, is_async=is_async, shadow_timeout=SOON, **endless)
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
    setting = Setting(Side.CANDIDATE, is_async=is_async, primary=[gate, "p1"], shadow_timeout=SOON)
    assert await setting.taken() == CANDIDATE
    pair = await setting.pair()
    gate.open()
    assert (pair.primary.status, pair.primary.content) == (Status.TIMEOUT, None)


@either_kind
async def test_the_error_of_an_active_primary_is_the_caller_s(is_async: bool) -> None:
    setting = Setting(Side.PRIMARY, is_async=is_async, primary=[ModelError()])
    with pytest.raises(ModelError):
        await setting.answer()
    pair = await setting.pair()
    assert (pair.served, pair.primary.status) == (None, Status.ERROR)
    assert sent(pair.candidate, CANDIDATE)


@either_kind
async def test_if_both_fail_the_caller_gets_the_primary_s_error(is_async: bool) -> None:
    setting = Setting(
        Side.CANDIDATE,
        is_async=is_async,
        primary=[ModelError("the primary's")],
        candidate=[ValueError()],
    )
    with pytest.raises(ModelError, match="the primary's"):
        await setting.answer()
    pair = await setting.pair()
    assert (pair.served, pair.candidate.error) == (None, "ValueError")


@either_kind
async def test_a_primary_past_its_own_limit_is_a_timeout_for_the_caller(
    is_async: bool, gate: Release
) -> None:
    setting = Setting(Side.PRIMARY, is_async=is_async, primary=[gate, "p1"], primary_timeout=SOON)
    with pytest.raises(TimeoutError):
        await setting.answer()
    gate.open()
    assert (await setting.pair()).primary.status is Status.TIMEOUT


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_a_caller_that_leaves_between_two_items_makes_a_pair(
    active: Side, is_async: bool
) -> None:
    setting = Setting(active, is_async=is_async)
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
    """As a server drops it: nobody closes the generator, and its task is cancelled."""
    steps = {"primary": ["1", gate, "2"], "candidate": ["1", gate, "2"]}
    setting = Setting(active, is_async=is_async, **steps)
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
    setting = Setting(active, is_async=True, **steps)
    answering = asyncio.create_task(setting.answer())
    await gate.is_reached()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    gate.open()
    pair = await setting.pair()
    assert pair.served is None
    assert pair.observation(active.other).status is Status.OK


async def test_a_caller_that_leaves_as_its_stream_is_handed_over_makes_a_pair() -> None:
    """In the very step of the event loop in which the answer is there and not yet taken."""
    setting = Setting(Side.PRIMARY, is_async=True)
    answering = asyncio.create_task(setting.pairing.answer(Request.of("r1", 1)))
    deliver = setting.pairing._streams[Side.PRIMARY].begun

    def leave_too(stream: SideStream) -> Any:
        asyncio.get_running_loop().call_soon(answering.cancel)
        return deliver(stream)

    setting.pairing._streams[Side.PRIMARY].begun = leave_too  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert (await setting.pair()).primary.error == "CallerLeftError"


async def test_a_thread_that_makes_an_item_for_nobody_is_not_taken_for_one_that_hangs(
    gate: Release,
) -> None:
    """A caller that leaves must not shed the streams of others."""
    setting = Setting(
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


@pytest.mark.parametrize("active", Side)
async def test_streams_of_threads_share_one_thread_between_their_items(active: Side) -> None:
    """A caller that takes its time holds no thread."""
    setting = Setting(active, is_async=False, shadow=False)
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
    setting = Setting(active, is_async=True, shadow_concurrency=1, **steps)
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
    setting = Setting(Side.CANDIDATE, is_async=True, candidate=[ModelError()], shadow_concurrency=0)
    assert await setting.taken() == PRIMARY
    assert (await setting.pair()).fallback


async def test_a_shadow_that_is_switched_off_is_skipped() -> None:
    setting = Setting(Side.CANDIDATE, is_async=True, shadow=False)
    assert await setting.taken() == CANDIDATE
    assert setting.primary.made == []
    assert (await setting.pair()).primary.status is Status.SKIPPED


@either_kind
@pytest.mark.parametrize("active", Side)
async def test_an_empty_stream_is_an_answer(active: Side, is_async: bool) -> None:
    setting = Setting(active, is_async=is_async, primary=[], candidate=[])
    assert await setting.taken() == []
    pair = await setting.pair()
    assert (pair.served, pair.fallback) == (active, False)
    assert sent(pair.primary, [])
    assert sent(pair.candidate, [])


@pytest.mark.parametrize(
    ("items", "score", "expected"),
    [
        (["ab", "c"], len, 3),
        ([b"ab", b"\xff"], lambda whole: whole[-1], 255),
        (["ab", b"c"], len, 2),
        ([{"x": 1}, {"x": 5}], "-1.x", 5),
    ],
    ids=["texts", "bytes", "both", "objects"],
)
async def test_a_score_is_read_from_all_items(items: list[Any], score: Any, expected: int) -> None:
    reading = Reading.of({"it": score}, 4)
    setting = Setting(Side.PRIMARY, is_async=True, primary=items, candidate=items, reading=reading)
    await setting.taken()
    pair = await setting.pair()
    for seen in (pair.primary, pair.candidate):
        assert (seen.scores, seen.decisions) == ({"it": expected}, {"it": expected >= 4})


async def test_a_stream_that_is_too_long_to_be_kept_has_no_score_and_is_not_a_failure() -> None:
    items = ["x" * KEPT_BYTES, "y"]
    setting = Setting(
        Side.CANDIDATE, is_async=True, primary=items, candidate=items, reading=Reading.of(len)
    )
    assert await setting.taken() == items
    pair = await setting.pair()
    for seen in (pair.primary, pair.candidate):
        assert (seen.status, seen.error) == (Status.OK, "AnswerUnreadableError")
        assert (seen.scores, sent(seen, items)) == ({}, True)


async def test_a_score_that_cannot_be_read_is_the_candidate_s_failure_alone() -> None:
    setting = Setting(
        Side.CANDIDATE, is_async=True, reading=Reading.of({"it": lambda text: text["it"]})
    )
    assert await setting.taken() == CANDIDATE  # it has left long before
    pair = await setting.pair()
    assert (pair.primary.status, pair.candidate.status) == (Status.OK, Status.ERROR)
    assert pair.primary.error == pair.candidate.error == "AnswerUnreadableError"
    assert sent(pair.candidate, CANDIDATE)


async def test_all_turns_of_an_asynchronous_stream_are_one_task_s() -> None:
    """What a model enters for one item (a time limit, a span) it may leave after another."""
    tasks: list[Any] = []

    async def model(_: int) -> AsyncGenerator[str, None]:
        async with asyncio.timeout(NEVER):
            for word in "abc":
                tasks.append(asyncio.current_task())
                yield word

    scorer = StreamScorer(Side.PRIMARY, model, Reading.nothing())
    stream = scorer.opened(Call((1,)))
    assert await stream.begin(None)
    assert [item async for item in stream.items()] == ["a", "b", "c"]
    assert len(set(tasks)) == 1
    assert (await scorer.ended(stream)).ok


async def test_a_model_that_swallows_its_cancellation_costs_its_limit_only(gate: Release) -> None:
    async def stubborn(*_: Any) -> AsyncGenerator[str, None]:
        while not gate.opened.is_set():
            try:
                await asyncio.sleep(0.002)
            except asyncio.CancelledError:
                gate.reached.set()
        yield "late"

    scorer = StreamScorer(Side.CANDIDATE, stubborn, Reading.nothing())
    stream = scorer.opened(Call())
    assert not await stream.begin(SOON)
    assert (await asyncio.wait_for(scorer.ended(stream), 20)).observation.status is Status.TIMEOUT
    await gate.is_reached()
    gate.open()


@pytest.mark.parametrize("active", Side)
async def test_a_shadow_whose_first_turn_waits_in_line_for_its_whole_limit_is_shed(
    active: Side, gate: Release
) -> None:
    busy = {active.other: BusyThreads(gate)}
    setting = Setting(active, is_async=False, threads=busy, shadow_timeout=SOON)
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
    stream = scorer.opened(Call())
    assert await stream.begin(NEVER)
    threads.submit(gate.wait)
    await gate.is_reached()
    await stream.consume(SOON)
    gate.open()
    seen = (await scorer.ended(stream)).observation
    assert seen.status is Status.TIMEOUT
    assert seen.content is not None
    assert seen.content.items == 1
    scorer.close()


async def test_streams_are_shed_while_every_thread_hangs(gate: Release) -> None:
    setting = Setting(
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
