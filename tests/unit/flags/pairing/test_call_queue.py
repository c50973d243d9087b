"""Calls in the queue for the candidate's process: their order, and their results."""

import asyncio
from typing import Any, cast

import bentoml
import pytest

from flags.errors import SideDownError
from flags.pairing.assignment import Side
from flags.pairing.call import Call, CallResult
from flags.pairing.call_queue import in_background
from flags.pairing.observation import Status
from flags.pairing.reading import Reading
from flags.pairing.scorer import Scorer
from flags.serving.isolated.process import SideCall, SideProcess
from flags.serving.isolated.side import IsolatedSide


@bentoml.service
class Echo:
    @bentoml.api
    def echo(self, number: int) -> int:
        return number


class BusyProcess:
    """A process without a free thread until the test frees one; it remembers the calls sent."""

    def __init__(self) -> None:
        self.has_free_thread = False
        self.sent: list[int] = []

    def send(self, call: SideCall) -> None:
        (number,) = cast(Any, call.message).args
        self.sent.append(number)
        call.settle(CallResult(number, None, 0.0))


@pytest.fixture
def process() -> BusyProcess:
    return BusyProcess()


@pytest.fixture
def side(process: BusyProcess) -> IsolatedSide:
    side = IsolatedSide(Echo)
    side._process = cast(SideProcess, process)
    return side


async def ask(side: IsolatedSide, number: int, *, as_shadow: bool) -> CallResult:
    in_background.set(as_shadow)  # in the task that this is
    outcome: CallResult = await side.model(Echo.apis["echo"])(number)
    return outcome


async def test_shadows_let_the_calls_pass_that_somebody_waits_for(
    side: IsolatedSide, process: BusyProcess
) -> None:
    order = [(1, True), (2, True), (3, False), (4, True), (5, False)]
    tasks = [asyncio.create_task(ask(side, n, as_shadow=is_shadow)) for n, is_shadow in order]
    await asyncio.sleep(0)
    assert process.sent == []
    process.has_free_thread = True
    side._send_waiting()
    assert [outcome.value for outcome in await asyncio.gather(*tasks)] == [1, 2, 3, 4, 5]
    assert process.sent == [3, 5, 1, 2, 4]


async def test_a_call_that_waits_for_its_whole_limit_is_shed_and_never_sent(
    side: IsolatedSide, process: BusyProcess
) -> None:
    scorer = Scorer(Side.CANDIDATE, side.model(Echo.apis["echo"]), Reading.nothing())
    seen = (await scorer.score(Call((1,)), 0.03)).observation
    assert (seen.status, seen.error, seen.duration) == (Status.SHED, "SideBusyError", None)
    process.has_free_thread = True
    side._send_waiting()
    assert (await scorer.score(Call((2,)), 30.0)).answer == 2
    assert process.sent == [2]


async def test_all_that_wait_fail_where_there_is_no_process_any_more(side: IsolatedSide) -> None:
    tasks = [asyncio.create_task(ask(side, n, as_shadow=bool(n))) for n in range(2)]
    await asyncio.sleep(0)
    side._process = None
    side._fail_waiting()
    outcomes = await asyncio.gather(*tasks)
    assert {type(outcome.error) for outcome in outcomes} == {SideDownError}
