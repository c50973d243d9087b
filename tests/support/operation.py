"""A migration on paper: a flag, good or bad pairs, autopilots, and an operator's commands."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from comparison.cli.advance import advance
from comparison.errors import NoPairsError
from comparison.judgement import pairs_judge
from comparison.judgement.judgement import Judgement
from flags.cli.rollback import rollback
from flags.gate import Decision, Verdict, decide
from flags.gate.evidence import Evidence, Paired
from flags.operate.audit import AuditFile
from flags.operate.autopilot import Assessment, Autopilot
from flags.operate.current_step import StepPosition, current_step, plan_at, possible_steps
from flags.operate.history import History, Run, read_history
from flags.operate.next_action import Action, StepVerdict
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage
from flags.unleash.admin import Author
from tests.support.evidence import FLAG, PAIRS, SINCE, evidence, output
from tests.support.unleash.fake_admin import FlagOnPaper, PaperAdmin

HUMAN = Author("ada", by_token=False)
OWN = Author("autopilot", by_token=True)
OPERATOR = Author("operator", by_token=True)
"""Whose token the commands `advance` and `rollback` are given."""
PEOPLE = frozenset({HUMAN.name, OPERATOR.name})
HOLD = timedelta(hours=1)
PLAYBOOK = Playbook(
    flag=FLAG,
    labels="none",
    steps=(
        Step(stage=Stage.SHADOW, rollout=0, hold=HOLD),
        Step(stage=Stage.CANARY, rollout=5, hold=HOLD),
        Step(stage=Stage.CANARY, rollout=10, hold=HOLD),
        Step(stage=Stage.RAMP, rollout=100, hold=HOLD),
        Step(stage=Stage.DEPRECATION, rollout=100, hold=HOLD),
    ),
)
FOUR_TIMES_AS_MANY_ALARMS = Paired(1_900, 100, 6_100, PAIRS - 8_100)


class Pairs:
    """What the service has recorded: enough good pairs, bad ones, too few to say, or none."""

    def __init__(self) -> None:
        self.kind = "good"

    def __call__(self, plan: Playbook, run: Run, now: datetime) -> StepVerdict:
        try:
            judgement = self.judged(plan, run, now)[1]
        except NoPairsError as problem:
            return StepVerdict(None, None, str(problem))
        return StepVerdict(judgement.step, judgement.verdict)

    def judged(self, plan: Playbook, run: Run, now: datetime) -> tuple[Evidence, Judgement]:
        if self.kind == "none":
            raise NoPairsError("there are no pairs")
        found: list[tuple[Evidence, Judgement]] = []

        def passes(standing: StepPosition) -> bool:
            held = min(now - standing.since, 2 * HOLD)
            taken, said = verdict(self.kind, standing.step, held)
            found.append((taken, Judgement(plan, standing.step, said)))
            return said.decision is Decision.ADVANCE

        current_step(possible_steps(plan, run), now, passes)
        return found[-1]


@cache  # the gate is pure, and the machine asks it thousands of times
def verdict(kind: str, step: Step, held: timedelta) -> tuple[Evidence, Verdict]:
    alarms = output(FOUR_TIMES_AS_MANY_ALARMS) if kind == "bad" else output()
    pairs = 100 if kind == "few" else PAIRS
    taken = evidence(alarms, rollout=step.rollout, held=held, pairs=pairs)
    return taken, decide(taken, plan_at(PLAYBOOK, step.rollout), step)


class Scene:
    """A flag on paper, its pairs, and autopilots that tell what they did."""

    def __init__(self, seeded_by: Author = OWN, playbook: Playbook = PLAYBOOK) -> None:
        self.flag = FlagOnPaper(FLAG, SINCE, seeded_by)
        self.playbook = playbook
        self.pairs = Pairs()
        self.done: list[Assessment] = []

    def pilot(self, resumed: int = 0, author: Author = OWN, **settings: Any) -> Autopilot:
        admin, record = self.flag.admin(author), self.done.append
        return Autopilot(
            admin, self.playbook, self.pairs, resumed=resumed, record=record, **settings
        )

    def act(self, pilot: Autopilot) -> Action:
        assessment = pilot.assess(self.flag.now)
        pilot.act(assessment)
        return assessment.next.action

    def wait(self, time: timedelta = HOLD) -> None:
        self.flag.now += time

    @property
    def history(self) -> History:
        return read_history(self.flag.admin(HUMAN), FLAG)[1]


class Operator:
    """Somebody at a terminal, who runs the commands themselves on a flag on paper."""

    def __init__(self, scene: Scene, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._scene = scene
        self.while_judging: Callable[[], None] | None = None
        """What somebody does while the pairs are read."""
        self.audit = AuditFile(folder / "audit.jsonl")
        self._playbook = folder / "playbook.yaml"
        steps = [
            f"  - {{stage: {each.stage}, rollout: {each.rollout}, hold: {each.hold.seconds}s"
            f"{', approval: required' if each.approval else ''}}}"
            for each in scene.playbook.steps
        ]
        self._playbook.write_text("\n".join([f"flag: {FLAG}", "labels: none", "steps:", *steps]))
        patch.setattr("flags.unleash.admin.UnleashAdmin", self._admin)
        patch.setattr(pairs_judge, "PairsJudge", self._judge)

    def advance(self, *options: str) -> int:
        """Return the exit code of `bentoml migration advance`."""
        arguments = ["pairs", "--playbook", str(self._playbook), *self._common, *options]
        return self._run(advance, arguments)

    def rollback(self) -> int:
        """Return the exit code of `bentoml migration rollback`; nobody listens as the service."""
        nobody = ["--flag", FLAG, "--service", "http://127.0.0.1:9", "--within", "0"]
        return self._run(rollback, ["it fails", *nobody, *self._common])

    @property
    def reasons(self) -> list[str]:
        """Return the reasons in the audit file."""
        return [change.reason for change in self.audit.read().changes]

    @property
    def _common(self) -> list[str]:
        return [
            *("--url", "http://paper", "--token", "*:development.t"),
            "--audit",
            str(self.audit.path),
        ]

    def _run(self, command: click.Command, arguments: list[str]) -> int:
        shown = CliRunner().invoke(command, arguments)
        ended = shown.exception is None or isinstance(shown.exception, SystemExit)
        assert ended, repr(shown.exception)
        return shown.exit_code

    def _admin(self, *_: object, **__: object) -> PaperAdmin:
        return self._scene.flag.admin(OPERATOR)

    def _judge(self, *_: object, **__: object) -> "Operator":
        return self

    def judged(self, plan: Playbook, run: Run, _now: datetime) -> tuple[Evidence, Judgement]:
        """Judge by the clock of the scene."""
        meanwhile, self.while_judging = self.while_judging, None
        if meanwhile is not None:
            meanwhile()
        return self._scene.pairs.judged(plan, run, self._scene.flag.now)
