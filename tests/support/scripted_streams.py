"""Streams of two models whose items are scripts, paired as in a service."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Observation, Pair
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.side_threads import SideThreads
from flags.pairing.streams.pairing import StreamPairing
from flags.pairing.streams.scorer import StreamScorer
from flags.pairing.streams.side_stream import SideStream
from tests.support.fakes import FixedAssignment, Release

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


class ScriptedPairing:
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
