"""The model of a playbook: its steps, how long each is held, and its gate."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from flags.playbook.gate import Gate
from flags.playbook.notify import NotifyPlan
from flags.playbook.operational import OperationalAlarmRule
from flags.playbook.outcomes import OutcomePlan
from flags.playbook.outputs import OutputPlan, SegmentPlan
from flags.playbook.part import Duration, Part
from flags.playbook.stages import Stage

LABELS_BEFORE: Final = 50
"""Rollout before which labels are demanded, unless the playbook says otherwise."""

KeyPath = tuple[str | int, ...]
"""Keys and indices from the top of a playbook to a value, e.g. ("steps", 0, "hold")."""


def dotted(path: KeyPath) -> str:
    """Format a path with dots; items are counted from 1, e.g. `steps[1].hold`."""
    words = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(words).lstrip(".")


class Step(Part):
    """One rollout, how long it is held, and what is required before the next one."""

    stage: Literal[Stage.SHADOW, Stage.CANARY, Stage.RAMP, Stage.DEPRECATION] = Field(
        description="Stage that the step belongs to."
    )
    rollout: int = Field(
        ge=0, le=100, description="Percentage of requests that the candidate answers."
    )
    hold: Duration = Field(description="Time before the next step, at least.")
    min_pairs: int = Field(10_000, ge=1, description="Pairs before the next step, at least.")
    min_labels: int | None = Field(
        None,
        ge=0,
        description="Labelled pairs; from 1 on, recall and average precision must pass. Not given: "
        "1 where the step or the next one has 50 % or more (not in the deprecation), else 0.",
    )
    approval: Literal["required"] | None = Field(
        None,
        description="`required`: a person takes the next step, with `advance --approve`; the "
        "autopilot proposes it and waits.",
    )
    gate: Gate = Field(Gate(), description="Limits that differ at this step.")

    @property
    def name(self) -> str:
        """Return the step in words, e.g. `canary, 5 %`."""
        return f"{self.stage}, {self.rollout} %"


def _empty_is_default(value: Any) -> Any:
    """Read a name with nothing after it, such as `channel:`, as a plan with all defaults."""
    if isinstance(value, dict):
        return {key: {} if each is None else each for key, each in value.items()}
    return value


DEFAULT_STEPS: Final = (
    Step(stage=Stage.SHADOW, rollout=0, hold=timedelta(days=7)),
    *(Step(stage=Stage.CANARY, rollout=each, hold=timedelta(days=1)) for each in (1, 5, 10)),
    *(Step(stage=Stage.RAMP, rollout=each, hold=timedelta(hours=48)) for each in (50, 100)),
    Step(stage=Stage.DEPRECATION, rollout=100, hold=timedelta(days=14)),
)


class Playbook(Part):
    """The plan of one migration."""

    flag: str = Field(min_length=1, description="Key of the flag.")
    error_rate: float = Field(
        0.05,
        ge=1e-6,
        le=0.5,
        description="Highest probability that a candidate is ever rolled back without cause, "
        "however often the gate looks, over all steps and returns to them.",
    )
    warm_up: int = Field(
        300, ge=0, description="First calls of a worker that are left out of the durations."
    )
    label_cut_off: Duration = Field(
        timedelta(days=14),
        description="How late labels come: younger pairs are not expected to have one.",
    )
    labels: Literal["expected", "none"] = Field(
        "expected",
        description="`none`: there will never be labels. The verdict says so, and demands none.",
    )
    judged_by: Literal["answers", "health"] = Field(
        "answers",
        description="`health`: a service without a compared output may go on by statuses and "
        "durations alone. Every verdict repeats it.",
    )
    outputs: Annotated[dict[str, OutputPlan], BeforeValidator(_empty_is_default)] = Field(
        {}, description="Settings and limits of single outputs; they win over those of the step."
    )
    outcomes: Annotated[dict[str, OutcomePlan], BeforeValidator(_empty_is_default)] = Field(
        {}, description="What happens downstream (complaints, chargebacks), by metric."
    )
    segments: Annotated[dict[str, SegmentPlan], BeforeValidator(_empty_is_default)] | None = Field(
        None, description="Segments that are checked, by name. Not given: all recorded segments."
    )
    alarms: Annotated[dict[str, OperationalAlarmRule], BeforeValidator(_empty_is_default)] = Field(
        {}, description="Operational alarms, by names of your choice; each look reads all of them."
    )
    notify: NotifyPlan = Field(NotifyPlan(), description="Who gets notifications.")
    features: tuple[str, ...] | None = Field(
        None, description="Features whose drift is described. Not given: all recorded features."
    )
    gate: Gate = Field(Gate(), description="Limits of every step.")
    steps: tuple[Step, ...] = Field(
        DEFAULT_STEPS, min_length=1, description="The steps, from the shadow upwards."
    )

    @model_validator(mode="after")
    def _coherent(self) -> "Playbook":
        for where, gate in self._gates():
            for name, message in gate.conflicts():
                raise _conflict((*where, "gate", *name.split(".")), message)
        for name, alarm in self.alarms.items():
            if wrong := alarm.conflict():
                key, message = wrong
                raise _conflict(("alarms", name, key), message)
        for name, plan in self.outcomes.items():
            if wrong := plan.conflict():
                key, message = wrong
                raise _conflict(("outcomes", name, key), message)
        before: Step | None = None
        for index, step in enumerate(self.steps):
            if step.min_labels and not self.expects_labels:
                message = f"is {step.min_labels:,}, but labels is none: there will never be any"
                raise _conflict(("steps", index, "min_labels"), message)
            if wrong := _misplaced(before, step):
                key, message = wrong
                raise _conflict(("steps", index, key), message)
            before = step
        return self

    def _gates(self) -> list[tuple[KeyPath, Gate]]:
        """Return each gate in force, with the path of the part that it belongs to."""
        found: list[tuple[KeyPath, Gate]] = [((), self.gate)]
        for index, step in enumerate(self.steps):
            found.append((("steps", index), self.gate_of(step)))
            found += [(("outputs", name), self.gate_of(step, output=name)) for name in self.outputs]
            found += [
                (("segments", name), self.gate_of(step, segment=name))
                for name in self.segments or {}
            ]
        return found

    def gate_of(self, step: Step, *, output: str | None = None, segment: str | None = None) -> Gate:
        """Return the playbook's limits, overridden by the step's, the output's, the segment's."""
        gate = self.gate.overridden_by(step.gate)
        if output in self.outputs:
            gate = gate.overridden_by(self.outputs[output].gate)
        if self.segments and segment in self.segments:
            gate = gate.overridden_by(self.segments[segment].gate)
        return gate

    def after(self, step: Step) -> Step | None:
        """Return the next step, None after the last one.

        Raises ValueError if `step` is not a step of this playbook.
        """
        index = self.steps.index(step) + 1
        return self.steps[index] if index < len(self.steps) else None

    @property
    def expects_labels(self) -> bool:
        """Say whether there will ever be labels."""
        return self.labels == "expected"

    def labels_wanted(self, step: Step) -> int:
        """Return how many labelled pairs a step demands, 0 for none."""
        if not self.expects_labels:
            return 0
        if step.min_labels is not None:
            return step.min_labels
        # In the deprecation the primary may be unscored, so there may be nothing to compare with.
        higher = [each.rollout for each in self.steps if each.rollout > step.rollout]
        largest = max(step.rollout, min(higher, default=0))
        return int(step.stage is not Stage.DEPRECATION and largest >= LABELS_BEFORE)

    def steps_at(self, rollout: float) -> tuple[Step, ...]:
        """Return the steps at a rollout; several steps, one after another, may have the same."""
        return tuple(step for step in self.steps if step.rollout == rollout)

    def may_go(self, before: float, after: float) -> bool:
        """Say whether the rollout may change from `before` to `after`: up by one step, or down."""
        if after <= before:
            return True
        higher = [step.rollout for step in self.steps if step.rollout > before]
        return bool(higher) and after <= higher[0]


def _conflict(at: KeyPath, message: str) -> PydanticCustomError:
    """Return the error of values that contradict each other; `at` is the one to change."""
    context = {"message": f"{dotted(at)} {message}", "at": at}
    return PydanticCustomError("conflict", "{message}", context)


def _misplaced(before: Step | None, step: Step) -> tuple[str, str] | None:
    """Return (key, error) of a step that is not allowed after the step before, None if it is."""
    if step.stage is Stage.SHADOW and step.rollout != 0:
        return "rollout", f"is {step.rollout}: the shadow is at 0"
    if step.stage is not Stage.SHADOW and step.rollout == 0:
        return "rollout", f"is 0: from the {step.stage} on, the candidate answers (1 to 100)"
    if step.stage is Stage.DEPRECATION and step.rollout != 100:
        return "rollout", f"is {step.rollout}: the deprecation is at 100"
    if before is None:
        return None
    if not before.stage.rank <= step.stage.rank <= before.stage.rank + 1:
        return "stage", f"is {step.stage} after {before.stage}: stages follow one another"
    same_stage = step.stage is before.stage
    if step.rollout < before.rollout or (same_stage and step.rollout == before.rollout):
        return "rollout", f"is {step.rollout} after {before.rollout}: steps go up"
    return None
