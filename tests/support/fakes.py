"""Models, sinks and clocks that behave badly on purpose, each named for what it does."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from flags.pairing.assignment import Assignment, Side
from flags.pairing.observation import Pair
from flags.pairing.side_threads import SideThreads, ThreadCall

T = TypeVar("T")

OUTPUT = "probability"
THRESHOLD = 0.5


def answer_of(score: float) -> dict[str, float]:
    """Return an answer as the fake models give it."""
    return {OUTPUT: score}


class Conduct(StrEnum):
    """What a model does with a request."""

    ANSWERS = "answers"
    RAISES = "raises"
    EXITS = "raises SystemExit"
    STOPS = "raises StopIteration"
    GIVES_NAN = "gives NaN"
    GIVES_WRONG_SHAPE = "gives the wrong shape"
    HANGS = "hangs"
    ANSWERS_LATE = "answers late"
    IS_SLOW = "is slow"

    @property
    def outlasts_its_limit(self) -> bool:
        """Say whether only a time limit ends the call."""
        return self in (Conduct.HANGS, Conduct.ANSWERS_LATE)


class ModelError(Exception):
    """What a failing fake raises."""


class Release:
    """A gate for sync and async fakes: they wait at it until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()

    def open(self) -> None:
        self.opened.set()

    def wait(self) -> None:
        """Block a model's thread; the limit only keeps a broken test from hanging for ever."""
        self.reached.set()
        self.opened.wait(30)

    async def wait_async(self) -> None:
        """Suspend a model on the event loop."""
        self.reached.set()
        await until(self.opened.is_set)

    async def is_reached(self) -> None:
        """Return once a model waits here."""
        await until(self.reached.is_set)


class BusyThreads(SideThreads):
    """Threads of a side, of which there is one, in a call that lasts until `gate` is opened."""

    def __init__(self, gate: Release) -> None:
        super().__init__("busy")
        super().submit(gate.wait)
        self.submitted = 0

    def submit(self, call: Callable[[], T], *, is_brief: bool = False) -> ThreadCall[T]:
        """Have `call` wait in line."""
        self.submitted += 1
        return super().submit(call, is_brief=is_brief)


class FakeModel:
    """A synchronous model with one conduct; `calls` holds the inputs that it was given."""

    def __init__(
        self, conduct: Conduct = Conduct.ANSWERS, score: float = 0.7, gate: Release | None = None
    ) -> None:
        self.conduct = conduct
        self.score = score
        self.gate = gate or Release()
        self.calls: list[tuple[Any, ...]] = []
        self.ended = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((*args, *kwargs.values()))
        try:
            if self.conduct.outlasts_its_limit:
                self.gate.wait()
            elif self.conduct is Conduct.IS_SLOW:
                time.sleep(0.03)
            return self._end()
        finally:
            self.ended += 1

    def _end(self) -> Any:
        match self.conduct:
            case Conduct.RAISES:
                raise ModelError("the input was 4711")
            case Conduct.EXITS:
                raise SystemExit(3)
            case Conduct.STOPS:
                raise StopIteration
            case Conduct.GIVES_NAN:
                return answer_of(float("nan"))
            case Conduct.GIVES_WRONG_SHAPE:
                return [[self.score, 1 - self.score]]
        return answer_of(self.score)


class FakeAsyncModel(FakeModel):
    """The same, on the event loop."""

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((*args, *kwargs.values()))
        try:
            if self.conduct.outlasts_its_limit:
                await self.gate.wait_async()
            elif self.conduct is Conduct.IS_SLOW:
                await asyncio.sleep(0.03)
            if self.conduct is Conduct.STOPS:
                raise ModelError  # a coroutine cannot raise StopIteration
            return self._end()
        finally:
            self.ended += 1


class StubbornAsyncModel:
    """Swallows its cancellation and goes on waiting."""

    def __init__(self) -> None:
        self.gate = Release()
        self.cancelled = 0

    async def __call__(self, *_: Any) -> Any:
        while not self.gate.opened.is_set():
            try:
                await asyncio.sleep(0.002)
            except asyncio.CancelledError:
                self.cancelled += 1
        return answer_of(0.7)


class MutatingModel:
    """Answers by its input, after changing it."""

    def __init__(self, key: str = "amount") -> None:
        self._key = key
        self.seen: list[Any] = []

    def __call__(self, row: dict[str, Any]) -> Any:
        self.seen.append((row[self._key], list(row["items"])))
        row[self._key] = -1
        row["items"].append("added by a model")
        return answer_of(0.7)


class Uncopyable:
    """An input that refuses to be copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Uncopyable":
        raise TypeError("this input cannot be copied")


class Unprintable:
    """A value that raises where it is turned into text or a number."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __float__(self) -> float:
        raise RuntimeError("no number")


class FixedAssignment:
    """Assign every request to one side."""

    def __init__(self, active: Side, *, shadow: bool = True) -> None:
        self.active = active
        self.shadow = shadow

    def __call__(self, request_id: str, attributes: Mapping[str, str]) -> Assignment:
        return Assignment(self.active, "flag", "static", shadow=self.shadow)


class RefusingAssignment:
    """A flag source with a fault of its own."""

    def __call__(self, request_id: str, attributes: Mapping[str, str]) -> Assignment:
        raise ConnectionError("the flag source is not there")


class RefusingSink:
    """An observer with a fault: it takes no pair."""

    def record(self, pair: Pair) -> None:
        raise OSError("the disk is gone")


class FakeClock:
    """A monotonic clock that only moves when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def eventually(condition: Callable[[], object], within: float = 60.0, pause: float = 0.002) -> bool:
    """Say whether `condition` comes true, though the machine has little time for it."""
    last = time.monotonic() + within
    while not condition():
        if time.monotonic() > last:
            return False
        time.sleep(pause)
    return True


async def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Let the event loop run until `condition` is true; fail after some seconds."""
    last = time.monotonic() + within
    while not condition():
        assert time.monotonic() < last, "waited too long"
        await asyncio.sleep(0.002)
