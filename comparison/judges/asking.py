"""The run of a judge: parallel questions, with retries, within a budget and a rate."""

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from comparison.errors import JudgeFailingError
from comparison.judges.journal import SIDES, AnsweredQuestion
from comparison.judges.judge import Judge, Judgment, ask_judge
from comparison.judges.text_pairs import TextPair
from flags.printable import printable

MOST_FAILURES: Final = 10
"""Failed questions in a row after which the run stops."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one pair, with the answer of the side `first` shown first."""

    pair: TextPair
    first: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return the key that identifies the question."""
        return self.pair.request_id, self.pair.output, self.first

    def ask(self, judge: Judge) -> Judgment:
        """Ask the judge; return the preference for the candidate's answer."""
        pair = self.pair
        if self.first == "candidate":
            return ask_judge(judge, pair.prompt, pair.candidate, pair.primary)
        said = ask_judge(judge, pair.prompt, pair.primary, pair.candidate)
        return Judgment(1 - said.preference, said.cost)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a run; None is no limit."""

    parallel: int = 4
    retries: int = 3
    per_minute: float | None = None
    cost: float | None = None
    pause: float = 0.5
    """Seconds before the first retry; doubled before each further retry."""


def questions(pairs: Sequence[TextPair], settled: set[tuple[str, str, str]]) -> list[Question]:
    """Return a question for each order of each pair, without those that are `settled`.

    Which order is asked first is random and reproducible, since a run may end early.
    """
    found = []
    for pair in pairs:
        order = list(SIDES)
        random.Random(f"{pair.request_id}\0{pair.output}").shuffle(order)  # noqa: S311  # no secret
        found += [Question(pair, first) for first in order]
    return [each for each in found if each.key not in settled]


@dataclass(frozen=True, slots=True)
class _Done:
    """The result of a question, empty if it was not answered; or an interrupt of the run."""

    answered: AnsweredQuestion | None = None
    error: Exception | None = None
    interrupted: bool = False


class JudgeRun:
    """A run that asks a judge in threads, and yields the answers as they come.

    `interrupt` ends it: it waits for the answers to open questions, and asks nothing more.
    """

    def __init__(
        self,
        judge: Judge,
        name: str,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._judge = judge
        self._name = name
        self._limits = limits
        self._clock = clock
        self.stopped = threading.Event()
        self._waiting: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._slot = threading.Lock()
        self._next = 0.0
        self.wait: Callable[[float], bool] = self._not_stopped_within
        """Wait this number of seconds; return False if the run was stopped meanwhile."""

    def interrupt(self) -> None:
        """Stop asking; signal handlers may call it."""
        self._done.put(_Done(interrupted=True))

    def answers(self, asked: Sequence[Question], spent: float = 0.0) -> Iterator[AnsweredQuestion]:
        """Ask, and yield each answer; end early at the limit of the cost.

        Raises JudgeFailingError after MOST_FAILURES failures in a row, once the answers to all
        open questions have been yielded.
        """
        # A thread gets its next question once its last answer is taken, so no thread runs ahead.
        left = iter(asked)
        begun = list(islice(left, self._limits.parallel))
        for question in begun:
            self._waiting.put(question)
            threading.Thread(target=self._work, daemon=True).start()
        failures, last, running = 0, None, len(begun)
        while running:
            done = self._done.get()
            if done.interrupted:
                self.stopped.set()
                continue
            if done.answered is not None:
                spent += done.answered.cost
                failures, last = (0, None) if done.error is None else (failures + 1, done.error)
                yield done.answered
            if failures >= MOST_FAILURES or self._is_spent(spent):
                self.stopped.set()
            following = None if self.stopped.is_set() else next(left, None)
            self._waiting.put(following)
            running -= following is None
        if failures >= MOST_FAILURES and last is not None:
            raise JudgeFailingError(
                f"the judge failed {failures} questions in a row, at last with "
                f"{type(last).__name__}: {printable(str(last), 300)}"
            )

    def _is_spent(self, spent: float) -> bool:
        return self._limits.cost is not None and spent >= self._limits.cost

    def _work(self) -> None:
        while (question := self._waiting.get()) is not None:
            self._done.put(self._answered(question))

    def _answered(self, question: Question) -> "_Done":
        began = self._clock()
        error: Exception | None = None
        judgment: Judgment | None = None
        attempts = 0
        for attempt in range(self._limits.retries + 1):
            wait = self._limits.pause * 2 ** (attempt - 1) if attempt else 0.0
            if not self._may_ask(wait):
                break
            attempts += 1
            try:
                judgment, error = question.ask(self._judge), None
                break
            except Exception as problem:  # any exception of the user's judge is a failure
                error = problem
        if not attempts or (judgment is None and self.stopped.is_set()):
            return _Done()  # the next run asks it again
        answered = AnsweredQuestion(
            *question.key,
            preference=judgment.preference if judgment else None,
            same_model=question.pair.is_same_model,
            judge=self._name,
            cost=judgment.cost if judgment else 0.0,
            seconds=self._clock() - began,
            attempts=attempts,
            error=type(error).__name__ if error else "",
        )
        return _Done(answered, error)

    def _may_ask(self, wait: float) -> bool:
        """Wait before a retry and for the rate; return False if the run was stopped."""
        if self._limits.per_minute:
            with self._slot:
                now = self._clock()
                begin = max(self._next, now + wait)
                self._next = begin + 60 / self._limits.per_minute
            wait = begin - now
        return self.wait(wait)

    def _not_stopped_within(self, seconds: float) -> bool:
        return not self.stopped.wait(seconds)
