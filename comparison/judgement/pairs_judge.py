"""A judge of the present step of a flag, by the pairs since the step began."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from comparison.engines.connections import engine_errors
from comparison.engines.engine_urls import is_url
from comparison.errors import (
    ComparisonError,
    NoPairsError,
    NothingToJudgeError,
    RolloutNotFoundError,
    WindowEmptyError,
)
from comparison.inputs.data_frames import Rows
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge_evidence, take_step_evidence
from comparison.judgement.judgement import Judgement
from comparison.judgement.known_looks import KnownLook, KnownLooks, unchanged_until
from comparison.labels import LabelFiles
from comparison.outcomes import unit_key
from comparison.pairs.file_states import compacted_states, file_states
from comparison.pairs.stores.folders import is_store
from flags.gate import Decision
from flags.gate.alarm_states import AlarmReading, operational_alarms
from flags.gate.decide import decide_without_pairs
from flags.gate.evidence import Evidence
from flags.operate.current_step import StepPosition, current_step, possible_steps, why_not_judged
from flags.operate.history import Run
from flags.operate.next_action import StepVerdict
from flags.playbook.model import Playbook

NOT_YET: Final = (NoPairsError, RolloutNotFoundError, WindowEmptyError, NothingToJudgeError)
"""Errors that pass with time or another rollout: right after a move, there are no pairs."""


AskAlarms = Callable[[Playbook, datetime], Sequence[AlarmReading]]
"""Reads the operational alarms of a playbook; returns this reading and the earlier ones."""


def _no_readings(_plan: Playbook, _now: datetime) -> Sequence[AlarmReading]:
    return ()


@dataclass(frozen=True, slots=True)
class PairsJudge:
    """A judge by the pairs at a place; a look at unchanged files queries no engine."""

    pairs: str | Path
    labels: str | Path | LabelFiles | None = None
    reference: Path | None = None
    outcomes: str | Path | None = None
    on_verdict: Callable[[Evidence, Judgement], object] | None = None
    """Called with the evidence and the judgement of each look."""
    will_retry: bool = True
    """Whether each error of the pairs becomes a result; if not, only those of `NOT_YET` do."""
    ask_alarms: AskAlarms = _no_readings
    preferences: str | Path | None = None
    known: KnownLooks = field(default_factory=KnownLooks, repr=False, compare=False)

    def __call__(self, plan: Playbook, run: Run, now: datetime) -> StepVerdict:
        """Judge the present run; a problem with the pairs is in `missing` of the result.

        Where there are no pairs to judge, operational alarms alone may roll back.
        """
        readings = self.ask_alarms(plan, now)
        try:
            with engine_errors(self.pairs):
                evidence, judgement = self._judged(plan, run, now, readings)
        except ComparisonError as problem:
            if not self.will_retry and not isinstance(problem, NOT_YET):
                raise
            standing = possible_steps(plan, run)
            if not standing:
                return StepVerdict(None, None, str(problem))
            step, since = standing[0].step, standing[0].since
            alarms = operational_alarms(plan, readings, since, now)
            return StepVerdict(step, decide_without_pairs(alarms, plan, step.rollout), str(problem))
        if self.on_verdict is not None:
            self.on_verdict(evidence, judgement)
        return StepVerdict(judgement.step, judgement.verdict)

    def judged(self, plan: Playbook, run: Run, now: datetime) -> tuple[Evidence, Judgement]:
        """Return evidence and judgement of the present run. Raises ComparisonError.

        Of several steps at its rollout, the first one without the verdict ADVANCE is judged.
        """
        readings = self.ask_alarms(plan, now)
        with engine_errors(self.pairs):
            return self._judged(plan, run, now, readings)

    def _judged(
        self, plan: Playbook, run: Run, now: datetime, readings: Sequence[AlarmReading]
    ) -> tuple[Evidence, Judgement]:
        self.known.set_inputs(self._inputs(plan))

        @cache
        def opened() -> tuple[FlagPairs, Additions]:
            additions = Additions.read(self.labels, self.reference, self.outcomes, self.preferences)
            flag_pairs = FlagPairs.at(self.pairs, plan.flag, self.known.memory)
            return flag_pairs.with_possible_times(now), additions

        def counted(position: StepPosition) -> KnownLook:
            flag_pairs, additions = opened()
            # The flag may be older than the service: the hold time begins with the first pair.
            first = flag_pairs.first(position.step.rollout, position.since)
            window = TimeWindow(first or position.since, now, carries=True)
            taken = take_step_evidence(
                flag_pairs, plan, position.step, now=now, window=window, additions=additions
            )
            until = unchanged_until(flag_pairs, additions, plan, now)
            return KnownLook.of(taken, plan, position.step, until)

        judged: list[tuple[Evidence, Judgement]] = []

        def passes(position: StepPosition) -> bool:
            look = self.known.at(position, plan, now) or counted(position)
            self.known.keep(position, look)
            evidence, judgement = judge_evidence(
                look.evidence, plan, position.step, readings, look.checks
            )
            judged.append((evidence, judgement))
            return judgement.verdict.decision is Decision.ADVANCE

        if current_step(possible_steps(plan, run), now, passes) is None:
            raise NothingToJudgeError(why_not_judged(plan, run))
        return judged[-1]

    def _inputs(self, plan: Playbook) -> object:
        """Return everything besides the time that the evidence depends on; None: unknown."""
        labels = self.labels.path if isinstance(self.labels, LabelFiles) else self.labels
        given = (labels, self.reference, self.outcomes, self.preferences)
        places = [each for each in given if isinstance(each, str | Path)]
        if isinstance(labels, Rows) or any(is_url(at) and not is_store(at) for at in places):
            return None
        pairs = compacted_states(self.pairs)
        states = [file_states(each) for each in places]
        if pairs is None or None in states:
            return None
        return plan, pairs, states, unit_key()
