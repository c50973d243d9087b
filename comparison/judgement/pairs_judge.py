"""A judge of the step that a flag is at, by the pairs made since."""

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
"""What time or another rollout mends: right after a move, there are no pairs."""


AskAlarms = Callable[[Playbook, datetime], Sequence[AlarmReading]]
"""Asks for the operational alarms of a playbook; returns this reading and the earlier ones."""


def _none(_plan: Playbook, _now: datetime) -> Sequence[AlarmReading]:
    return ()


@dataclass(frozen=True, slots=True)
class PairsJudge:
    """Judge by the pairs at a place; each look that finds the same files asks no engine."""

    pairs: str | Path
    labels: str | Path | LabelFiles | None = None
    reference: Path | None = None
    outcomes: str | Path | None = None
    tell: Callable[[Evidence, Judgement], object] | None = None
    """Is told what was judged each time it is called."""
    will_retry: bool = True
    """Whether it only says what is wrong with the pairs: what time does not mend is else raised."""
    ask_alarms: AskAlarms = _none
    preferences: str | Path | None = None
    known: KnownLooks = field(default_factory=KnownLooks, repr=False, compare=False)

    def __call__(self, plan: Playbook, run: Run, now: datetime) -> StepVerdict:
        """Judge the present run; problems with the pairs are in `missing` of the result.

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
        if self.tell is not None:
            self.tell(evidence, judgement)
        return StepVerdict(judgement.step, judgement.verdict)

    def judged(self, plan: Playbook, run: Run, now: datetime) -> tuple[Evidence, Judgement]:
        """Return evidence and judgement of the present run; raises ComparisonError.

        Of several steps at its rollout, the first that its gate does not let go.
        """
        readings = self.ask_alarms(plan, now)
        with engine_errors(self.pairs):
            return self._judged(plan, run, now, readings)

    def _judged(
        self, plan: Playbook, run: Run, now: datetime, readings: Sequence[AlarmReading]
    ) -> tuple[Evidence, Judgement]:
        self.known.hear(self._told(plan))

        @cache
        def opened() -> tuple[FlagPairs, Additions]:
            additions = Additions.read(self.labels, self.reference, self.outcomes, self.preferences)
            found = FlagPairs.at(self.pairs, plan.flag, self.known.memory)
            return found.believed(now), additions

        def counted(position: StepPosition) -> KnownLook:
            found, additions = opened()
            # The flag may have been there long before the service: a hold begins with its pairs.
            first = found.first(position.step.rollout, position.since)
            window = TimeWindow(first or position.since, now, carries=True)
            taken = take_step_evidence(
                found, plan, position.step, now=now, window=window, additions=additions
            )
            until = unchanged_until(found, additions, plan, now)
            return KnownLook.of(taken, plan, position.step, until)

        judged: list[tuple[Evidence, Judgement]] = []

        def passes(position: StepPosition) -> bool:
            look = self.known.at(position, plan, now) or counted(position)
            self.known.keep(position, look)
            found = judge_evidence(look.evidence, plan, position.step, readings, look.checks)
            judged.append(found)
            return found[1].verdict.decision is Decision.ADVANCE

        if current_step(possible_steps(plan, run), now, passes) is None:
            raise NothingToJudgeError(why_not_judged(plan, run))
        return judged[-1]

    def _told(self, plan: Playbook) -> object:
        """Return all that evidence is taken from, but for the time; None: nobody knows."""
        labels = self.labels.path if isinstance(self.labels, LabelFiles) else self.labels
        added = (labels, self.reference, self.outcomes, self.preferences)
        places = [each for each in added if isinstance(each, str | Path)]
        if isinstance(labels, Rows) or any(is_url(at) and not is_store(at) for at in places):
            return None
        pairs = compacted_states(self.pairs)
        states = [file_states(each) for each in places]
        if pairs is None or None in states:
            return None
        return plan, pairs, states, unit_key()
