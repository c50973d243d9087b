"""The gate of the demo: it reads the operational alarm during the canary, and gives a verdict."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.judgement.judgement import Judgement
from comparison.outcomes import Outcomes
from flags.gate.alarm_states import AlarmReading
from flags.gate.evidence import Evidence
from flags.operate.alarms.sources import AlarmSources
from flags.playbook.model import Playbook
from service.downstream import PLANS

ALARM: Final = "review_queue"

_PAUSE: Final = 1.0
"""Seconds between two looks."""


def playbook(webhook: str, rollout: int) -> Playbook:
    """Return the playbook of the demo, with its outcomes and the webhook of the reviewers."""
    return Playbook.model_validate(
        {
            "flag": "fraud-detector-v2",
            "outcomes": {name: plan.model_dump() for name, plan in PLANS.items()},
            "alarms": {ALARM: {"webhook": webhook}},
            "steps": [
                {"stage": "shadow", "rollout": 0, "hold": "7d", "min_pairs": 5_000},
                {"stage": "canary", "rollout": rollout, "hold": "1d", "min_pairs": 2_000},
            ],
        }
    )


class Looks:
    """A thread that reads the operational alarm once a second within a `with` block."""

    def __init__(self, plan: Playbook) -> None:
        self._plan = plan
        self._sources = AlarmSources(None, None, {})
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, daemon=True)
        self.readings: list[AlarmReading] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._look()

    def _keep_looking(self) -> None:
        while not self._ending.wait(_PAUSE):
            self._look()

    def _look(self) -> None:
        self.readings += self._sources.read(self._plan, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Canary:
    """The gate's input about the canary: its playbook, the alarm's readings, and its end."""

    plan: Playbook
    readings: Sequence[AlarmReading]
    ended: datetime

    def judge(self, pairs: FlagPairs, outcomes: Outcomes) -> tuple[Evidence, Judgement]:
        """Judge the canary by the time of its end."""
        return judge(
            pairs,
            self.plan,
            now=self.ended,
            step=self.plan.steps[-1].name,
            window=TimeWindow(until=self.ended),
            additions=Additions(outcomes=outcomes),
            readings=self.readings,
        )
