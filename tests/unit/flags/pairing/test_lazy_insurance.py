"""The primary as a lazy insurance: scored once the candidate has failed, or as a shadow."""

import asyncio
from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.call import Call
from flags.pairing.delivery import Answer
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Status
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.scorer import Scorer
from flags.pairing.shadow_schedule import AnswerSent
from tests.support.fakes import (
    OUTPUT,
    THRESHOLD,
    Conduct,
    FakeModel,
    FixedAssignment,
    ModelError,
    answer_of,
)

READING = Reading.of(OUTPUT, THRESHOLD)
NEVER = 30.0
SOON = 0.3


class Service:
    """A pairing with an active candidate and a lazy insurance."""

    def __init__(
        self, primary: Any, candidate: Any, *, limit: float = NEVER, shadow: bool = True
    ) -> None:
        self.pairs = InMemoryPairs()
        self.pairing = Pairing(
            Scorer(Side.PRIMARY, primary, READING, unreadable_is_error=False),
            Scorer(Side.CANDIDATE, candidate, READING),
            assign=FixedAssignment(Side.CANDIDATE, shadow=shadow),
            reading=READING,
            sink=self.pairs,
            limits=Limits(candidate_timeout=limit, shadow_timeout=NEVER),
            lazy_insurance=True,
        )

    async def answer(self, sent: AnswerSent | None = None) -> Answer:
        return await self.pairing.answer(Request("r", Call((1,)), Call((1,)), answer_sent=sent))

    async def end(self) -> Any:
        assert await self.pairing.drain(NEVER) == 0
        self.pairing.close()
        [pair] = self.pairs.pairs
        return pair


def test_the_primary_is_not_called_before_the_answer_has_left() -> None:
    primary = FakeModel(score=0.2)

    async def run() -> Any:
        service, sent = Service(primary, FakeModel()), AnswerSent()
        answer = await service.answer(sent)
        assert answer.served is Side.CANDIDATE
        assert primary.calls == []
        sent.set()
        return await service.end()

    pair = asyncio.run(run())

    assert len(primary.calls) == 1
    assert (pair.primary.status, pair.served, pair.fallback) == (Status.OK, Side.CANDIDATE, False)


@pytest.mark.parametrize("conduct", [Conduct.RAISES, Conduct.GIVES_NAN, Conduct.HANGS])
def test_a_candidate_that_fails_is_replaced_by_the_primary_which_is_scored_once(
    conduct: Conduct,
) -> None:
    primary, candidate = FakeModel(score=0.2), FakeModel(conduct)

    async def run() -> Any:
        service = Service(primary, candidate, limit=SOON if conduct is Conduct.HANGS else NEVER)
        answer = await service.answer()
        candidate.gate.open()
        assert (answer.value, answer.served) == (answer_of(0.2), Side.PRIMARY)
        return await service.end()

    pair = asyncio.run(run())

    assert len(primary.calls) == 1
    assert pair.fallback
    assert pair.primary.status is Status.OK


def test_the_primary_s_error_is_the_caller_s_where_both_fail() -> None:
    async def run() -> Any:
        service = Service(FakeModel(Conduct.RAISES), FakeModel(Conduct.RAISES))
        with pytest.raises(ModelError):
            await service.answer()
        return await service.end()

    pair = asyncio.run(run())

    assert pair.served is None
    assert (pair.primary.status, pair.candidate.status) == (Status.ERROR, Status.ERROR)


def test_a_primary_that_is_not_a_shadow_still_stands_in_for_the_candidate() -> None:
    primary = FakeModel(score=0.2)

    async def run(candidate: FakeModel) -> Any:
        service = Service(primary, candidate, shadow=False)
        await service.answer()
        return await service.end()

    assert asyncio.run(run(FakeModel())).primary.status is Status.SKIPPED
    assert primary.calls == []
    assert asyncio.run(run(FakeModel(Conduct.RAISES))).served is Side.PRIMARY
