"""A judge of the step that a flag is at, by the pairs made since."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from comparison.engines.connections import engine_errors
from comparison.errors import (
    ComparisonError,
    NoPairsError,
    NothingToJudgeError,
    RolloutNotFoundError,
    WindowEmptyError,
)
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import LabelsAndReferences, TimeWindow, judge
from comparison.judgement.judgement import Judgement
from comparison.labels import LabelFiles
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
    """Judge by the pair files at a place, read anew each time."""

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
        additions = LabelsAndReferences.read(
            self.labels, self.reference, self.outcomes, self.preferences
        )
        found = FlagPairs.at(self.pairs, plan.flag).believed(now)
        judged: list[tuple[Evidence, Judgement]] = []

        def passes(standing: StepPosition) -> bool:
            # The flag may have been there long before the service: a hold begins with its pairs.
            first = found.first(standing.step.rollout, standing.since)
            window = TimeWindow(first or standing.since, now, carries=True)
            judged.append(
                judge(
                    found,
                    plan,
                    now=now,
                    step=standing.step.name,
                    window=window,
                    additions=additions,
                    readings=readings,
                )
            )
            return judged[-1][1].verdict.decision is Decision.ADVANCE

        if current_step(possible_steps(plan, run), now, passes) is None:
            raise NothingToJudgeError(why_not_judged(plan, run))
        return judged[-1]
