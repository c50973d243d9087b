"""The model of a playbook: its steps, how long each is held, and its gate."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from flags.playbook.notify import NotifyPlan
from flags.playbook.operational import OperationalAlarm
from flags.playbook.outcomes import OutcomePlan
from flags.playbook.part import Duration, Part, Ratio
from flags.playbook.stages import Stage

Share = Annotated[float, Field(ge=0, le=1)]

LABELS_BEFORE: Final = 50
"""Rollout that nothing reaches without labels, unless the playbook says otherwise."""

Place = tuple[str | int, ...]
"""Keys and indices from the top of a playbook down, e.g. ("steps", 0, "hold")."""


def dotted(place: Place) -> str:
    """Write a place as one word; items are counted from 1, e.g. `steps[1].hold`."""
    words = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(words).lstrip(".")


class AdvanceLimits(Part):
    """What must be shown before the next step: every interval within its limits."""

    completeness: Share = Field(
        0.999, description="Pairs found among those that the workers numbered, at least."
    )
    unknown_loss: Share = Field(
        0.001,
        description="Share of pairs that workers may have made, and lost, after their last count "
        "(they were killed), at most.",
    )
    sample_ratio_p: Share = Field(
        0.001,
        description="The share of active pairs must fit the rollout: p-value, at least.",
    )
    noise: Share = Field(
        0.0, description="Share of pairs of the same model twice whose scores differ, at most."
    )
    batch_disagreement: Share = Field(
        0.02,
        description="Of the shadows scored in a batch and by themselves too, the share whose "
        "scores or decisions differ, at most.",
    )
    shadow_sampling: Share = Field(
        0.25,
        description="Share of what was scored under SHADOW_MAX_SHARE that may lie at other times "
        "than the traffic, at most: busy hours weigh too little in it.",
    )
    shed_rate: Share = Field(0.01, description="Share of pairs with a side that was shed, at most.")
    silence: Share = Field(
        0.25, description="Share of the hold time without pairs just now, at most."
    )
    gap: Duration = Field(
        timedelta(hours=6), description="A longer time without pairs does not count as held."
    )
    alarm_ratio: Ratio = Field(
        1.10, description="Candidate's alarm rate relative to the primary's: 1/x to x."
    )
    min_alarms: int = Field(
        50, ge=0, description="Alarms of both sides together below which the ratio says nothing."
    )
    no_alarm_ratio: Ratio = Field(
        1.10,
        description="Candidate's rate without an alarm by the primary's, where alarms are the "
        "common side: 1/x to x.",
    )
    alarm_overlap: Share = Field(
        0.5,
        description="Of the primary's alarms, the share that the candidate raises too, at least, "
        "unless labels show recall. 0: not asked for.",
    )
    segment_alarm_overlap: Share = Field(
        0.25, description="The same within one segment with `segment_min_alarms`, at least."
    )
    distribution_ratio: Ratio = Field(
        1.25,
        description="Candidate's rate beyond quantiles of the primary's outputs by the primary's: "
        "1/x to x. By default where no threshold is known.",
    )
    rank_overlap: Share = Field(
        0.5,
        description="Of the primary's lowest and highest tenth of outputs, the share that the "
        "candidate has there too, at least; likewise. 0: not asked for.",
    )
    uncompared: Share = Field(
        0.01, description="Share of pairs in which a side decided nothing, at most."
    )
    segment_alarm_ratio: Ratio = Field(1.50, description="The same within one segment: 1/x to x.")
    segment_min_alarms: int = Field(
        100, ge=0, description="Segments with fewer alarms may fail, but need not pass."
    )
    failure_rate: Share = Field(
        0.002, description="Candidate's failure rate less the primary's, at most."
    )
    fallback_rate: Share = Field(
        0.01, description="Share of the candidate's requests that the primary answered, at most."
    )
    latency_p50: Ratio = Field(1.5, description="Candidate's median duration by the primary's.")
    latency_p95: Ratio = Field(1.5, description="The same at the 95th percentile.")
    latency_p99: Ratio = Field(2.0, description="The same at the 99th percentile.")
    fast_enough: Duration = Field(
        timedelta(milliseconds=5),
        description="A candidate's quantile below this passes whatever the ratio.",
    )
    min_positives: int = Field(
        100, ge=0, description="Positive labels below which quality does not pass."
    )
    recall_loss: Share = Field(
        0.05, description="Recall that the candidate may lose, where labels are demanded."
    )
    segment_recall_loss: Share = Field(0.10, description="The same within one segment.")
    average_precision_loss: Share = Field(
        0.02, description="Average precision that the candidate may lose, likewise."
    )
    win_rate: Share = Field(
        0.45,
        gt=0,
        description="Of the pairs whose texts differ, the share in which the candidate's is "
        "preferred, at least; a tie is half of one.",
    )
    segment_factor: Ratio = Field(
        2.0,
        description="Numbers, classes, rankings and texts within one segment: how many times as "
        "large a difference may be as over all; a share, at least, may be its limit to this power.",
    )
    judge_consistency: Share = Field(
        0.5,
        description="Of the pairs judged in both orders, the share in which the judge names the "
        "same winner, or twice none, at least.",
    )
    number_bias: float = Field(
        0.1,
        ge=0,
        description="Of numbers without a threshold, the mean difference in spreads of the "
        "primary's, at most, unless labels show the error.",
    )
    number_distance: float = Field(
        0.5, ge=0, description="The same without the sign: how far apart the sides are."
    )
    error_loss: float = Field(
        0.05,
        ge=0,
        description="Of numbers, by which part of the primary's mean error the candidate's may be "
        "larger (pinball loss of a quantile), likewise.",
    )
    gross_errors: Share = Field(
        0.002,
        description="Of numbers, the share of errors beyond ten times the primary's mean error: "
        "the candidate's less the primary's, at most.",
    )
    class_agreement: Share = Field(
        0.8,
        description="Of classes, the share of pairs in which both sides say the same, at least, "
        "unless labels show the accuracy.",
    )
    class_overlap: Share = Field(
        0.5,
        description="Of the pairs that the primary puts into a class, the share that the candidate "
        "puts there too, at least, of those with `min_alarms`, likewise.",
    )
    class_ratio: Ratio = Field(
        1.5,
        description="Candidate's rate of each class by the primary's, of those with `min_alarms`: "
        "1/x to x, likewise.",
    )
    accuracy_loss: Share = Field(
        0.02, description="Accuracy that the candidate may lose, where labels are demanded."
    )
    class_recall_loss: Share = Field(
        0.10, description="Recall of a class that it may lose, of those with `min_positives`."
    )
    ranking_overlap: Share = Field(
        0.5,
        description="Of rankings, the share of items that both sides list, on average, at least, "
        "unless labels show the relevance.",
    )
    rank_biased_overlap: Share = Field(
        0.7,
        description="The same with regard to the order, the first places counting most: 1 of equal "
        "lists, about 0.65 of the same items in a random order, 0.5 in the reverse one.",
    )
    exposure_shift: Share = Field(
        0.1,
        description="Share of the listed items that are of a declared group: the candidate's less "
        "the primary's, at most, either way.",
    )
    item_exposure: Share = Field(
        0.25,
        description="Of one item, the share of lists that show it: the candidate's less the "
        "primary's, at most.",
    )
    ndcg_loss: Share = Field(
        0.02,
        description="Normalised discounted cumulative gain (nDCG) that the candidate may lose, "
        "where labels are demanded.",
    )
    empty_rankings: Share = Field(
        0.02,
        description="Share of rankings without any item: the candidate's less the primary's, at "
        "most.",
    )
    text_length: Share = Field(
        0.25,
        description="By which part of the longer one the candidate's texts may be longer or "
        "shorter on average, unless preferences show that they are as good.",
    )
    text_rule: Share = Field(
        0.02,
        description="Share of texts that refuse, or lack a declared format: the candidate's less "
        "the primary's, at most.",
    )
    label_coverage_gap: Share = Field(
        0.10,
        description="By which part the labelled share may be smaller for one side's answers than "
        "for the other's, and differ between the cells of both alarms.",
    )
    unknown_labels: Share = Field(
        0.05, description="Share of labels that belong to no pair, at most."
    )


class RollbackLimits(Part):
    """What rolls back once it is shown: an interval wholly beyond its limit."""

    alarm_ratio: Ratio = Field(
        1.25,
        description="Candidate's alarm rate relative to the primary's over whole weeks, or to that "
        "of the same hours of the weeks before: outside 1/x to x.",
    )
    alarm_ratio_day: Ratio = Field(
        1.75, description="The same over whole days, or to the same hours of the days before."
    )
    alarm_ratio_now: Ratio = Field(3.0, description="The same at once, whatever the hour.")
    min_alarms_now: int = Field(
        50, ge=0, description="Alarms of the side with more of them, for a rollback at once."
    )
    segment_alarm_ratio: Ratio = Field(
        2.0, description="The same within one segment, once the evidence is a day old."
    )
    no_alarm_ratio: Ratio = Field(
        1.25, description="Candidate's rate without an alarm by the primary's: outside 1/x to x."
    )
    failure_rate: Share = Field(
        0.01,
        description="Candidate's failure rate less the primary's, above; from a day on.",
    )
    failure_rate_now: Share = Field(0.05, description="The same at once.")
    failure_rate_minutes: Share = Field(
        0.2,
        description="The same of all requests, whoever sent them, in most minutes since some "
        "minute; within an hour.",
    )
    fallback_rate: Share = Field(
        0.03,
        description="Share of the candidate's requests that the primary answered, above; from a "
        "day on.",
    )
    fallback_rate_now: Share = Field(0.1, description="The same at once.")
    latency_p50: Ratio = Field(3.0, description="Candidate's median duration by the primary's.")
    latency_p50_now: Ratio = Field(
        5.0, description="The same in most minutes since some minute; within an hour."
    )
    latency_p95: Ratio = Field(3.0, description="The same at the 95th percentile.")
    latency_p99: Ratio = Field(4.0, description="The same at the 99th percentile.")
    recall_loss: Share = Field(0.10, description="Recall that the candidate loses, above.")
    win_rate: Share = Field(
        0.40,
        lt=1,
        description="Share in which the candidate's text is preferred, below.",
    )
    accuracy_loss: Share = Field(0.05, description="Accuracy that the candidate loses, above.")
    ndcg_loss: Share = Field(0.05, description="nDCG that the candidate loses, above.")
    empty_rankings: Share = Field(
        0.05,
        description="Share of rankings without any item: the candidate's less the primary's, "
        "above; from a day on.",
    )
    empty_rankings_now: Share = Field(0.25, description="The same at once.")
    number_bias: float = Field(
        0.5, ge=0, description="Mean difference of numbers, in spreads; once a day old."
    )
    error_loss: float = Field(
        0.25, ge=0, description="By which part the mean error of numbers is larger, above."
    )
    text_rule: Share = Field(
        0.05,
        description="Share of texts that refuse, or lack a declared format: the candidate's less "
        "the primary's, above; from a day on.",
    )
    text_rule_now: Share = Field(0.25, description="The same at once.")

    def limit(self, name: str) -> float:
        """Return a limit: one that holds sooner is never nearer than the one that holds later."""
        own, later = float(getattr(self, name)), _LATER.get(name)
        return max(own, self.limit(later)) if later else own


_LATER: Final = {
    "alarm_ratio_day": "alarm_ratio",
    "alarm_ratio_now": "alarm_ratio_day",
    "failure_rate_now": "failure_rate",
    "failure_rate_minutes": "failure_rate_now",
    "fallback_rate_now": "fallback_rate",
    "text_rule_now": "text_rule",
    "empty_rankings_now": "empty_rankings",
    "latency_p50_now": "latency_p50",
}
"""Limits that hold sooner than another one of the same figure, which more evidence reaches."""


_AT_LEAST: Final = frozenset({"win_rate"})
"""Limits of both kinds that a figure must not be below."""


class Gate(Part):
    """The limits of a step. What is not given is taken over from the playbook's own gate."""

    advance: AdvanceLimits = Field(AdvanceLimits(), description="What must be shown to go on.")
    rollback: RollbackLimits = Field(RollbackLimits(), description="What rolls back once shown.")

    def changed_by(self, other: "Gate") -> "Gate":
        """Return this gate with those limits that were given in `other`."""
        return Gate(
            advance=self.advance.model_copy(update=_given(other.advance)),
            rollback=self.rollback.model_copy(update=_given(other.rollback)),
        )

    def conflicts(self) -> list[tuple[str, str]]:
        """Return (limit, what is wrong) where going on is allowed beyond the rollback limit."""
        return [
            (f"advance.{name}", f"is {going_on:g}, beyond the rollback limit of {back:g}")
            for name, back in self.rollback
            if (going_on := getattr(self.advance, name, None)) is not None
            and (going_on < back if name in _AT_LEAST else going_on > back)
        ] + [
            (f"rollback.{sooner}", f"is {limit:g}, nearer than the {later} of {bound:g}")
            for sooner, later in _LATER.items()
            if sooner in self.rollback.model_fields_set
            and (limit := getattr(self.rollback, sooner)) < (bound := self.rollback.limit(later))
        ]


class SideThresholds(Part):
    """The score from which each side fires; not given, the recorded one counts."""

    primary: float | None = Field(None, allow_inf_nan=False, description="Of the primary.")
    candidate: float | None = Field(None, allow_inf_nan=False, description="Of the candidate.")

    @property
    def given(self) -> dict[str, float]:
        """Return those that are given, by side."""
        return {side: threshold for side, threshold in self if threshold is not None}


class OutputPlan(Part):
    """What holds for one output only."""

    capacity: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Alarms a day that can be worked off, by people whom both sides share.",
    )
    threshold: SideThresholds = Field(
        SideThresholds(), description="Thresholds to compare at, by side; the recorded ones if not."
    )
    distribution: bool | None = Field(
        None,
        description="Whether the distribution of its numbers is checked; by default where no "
        "threshold is known.",
    )
    tolerance: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Of a number: a difference, or a loss of error, up to which nothing matters.",
    )
    spread: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Of a number: the unit of its differences; the spread of the primary's first "
        "1,000 if not given.",
    )
    quantile: float | None = Field(
        None, gt=0, lt=1, description="Of a number that is a quantile: which one, e.g. 0.9."
    )
    persistence: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Of a ranking: the probability that a reader goes on to the next item, by "
        "which its first places count more; 1 - 1/k for lists of k items if not given.",
    )
    gate: Gate = Field(Gate(), description="Limits that differ for this output.")

    @property
    def settings(self) -> dict[str, float]:
        """Return what is fixed of an output before it is counted."""
        given = {
            "spread": self.spread,
            "quantile": self.quantile,
            "persistence": self.persistence,
        }
        return {name: value for name, value in given.items() if value is not None}


class SegmentPlan(Part):
    """What holds for one segment only, all of its values."""

    gate: Gate = Field(Gate(), description="Limits that differ for this segment.")


class Step(Part):
    """One rollout, how long it is held, and what is wanted before the next one."""

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
        description="`required`: the step after it is taken by a person, with `advance --approve`; "
        "the autopilot proposes and waits.",
    )
    gate: Gate = Field(Gate(), description="Limits that differ at this step.")

    @property
    def name(self) -> str:
        """Return the step in words, e.g. `canary, 5 %`."""
        return f"{self.stage}, {self.rollout} %"


def _given(limits: BaseModel) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in limits.model_fields_set}


def _empty_is_default(value: Any) -> Any:
    """Read `channel:` with nothing after it as a plan without changes."""
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
        description="Probability that a candidate is ever rolled back without cause, at most, "
        "however often the gate looks, over all steps and returns to them.",
    )
    warm_up: int = Field(
        300, ge=0, description="Calls of a fresh worker that count for no duration."
    )
    label_cut_off: Duration = Field(
        timedelta(days=14),
        description="How late labels come: younger pairs are not expected to have one.",
    )
    labels: Literal["expected", "none"] = Field(
        "expected",
        description="none: there will never be labels. The verdict says so, and demands none.",
    )
    judged_by: Literal["answers", "health"] = Field(
        "answers",
        description="health: a service of whose answers nothing is compared may go on by statuses "
        "and durations alone. Every verdict repeats it.",
    )
    outputs: Annotated[dict[str, OutputPlan], BeforeValidator(_empty_is_default)] = Field(
        {}, description="By output, what holds for it only; it wins over the step's."
    )
    outcomes: Annotated[dict[str, OutcomePlan], BeforeValidator(_empty_is_default)] = Field(
        {}, description="What happens downstream (complaints, chargebacks), by metric."
    )
    segments: Annotated[dict[str, SegmentPlan], BeforeValidator(_empty_is_default)] | None = Field(
        None, description="Segments that are checked, by name; all that are recorded if not given."
    )
    alarms: Annotated[dict[str, OperationalAlarm], BeforeValidator(_empty_is_default)] = Field(
        {}, description="Operational alarms, by names of your choice; each look asks them all."
    )
    notify: NotifyPlan = Field(NotifyPlan(), description="Who gets notifications.")
    features: tuple[str, ...] | None = Field(
        None, description="Features whose drift is described; all that are recorded if not given."
    )
    gate: Gate = Field(Gate(), description="Limits of every step.")
    steps: tuple[Step, ...] = Field(
        DEFAULT_STEPS, min_length=1, description="From the shadow on, upwards."
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

    def _gates(self) -> list[tuple[Place, Gate]]:
        found: list[tuple[Place, Gate]] = [((), self.gate)]
        for index, step in enumerate(self.steps):
            found.append((("steps", index), self.gate_of(step)))
            found += [(("outputs", name), self.gate_of(step, output=name)) for name in self.outputs]
            found += [
                (("segments", name), self.gate_of(step, segment=name))
                for name in self.segments or {}
            ]
        return found

    def gate_of(self, step: Step, *, output: str | None = None, segment: str | None = None) -> Gate:
        """Return the limits: the playbook's, changed by step, then output, then segment."""
        gate = self.gate.changed_by(step.gate)
        if output in self.outputs:
            gate = gate.changed_by(self.outputs[output].gate)
        if self.segments and segment in self.segments:
            gate = gate.changed_by(self.segments[segment].gate)
        return gate

    def after(self, step: Step) -> Step | None:
        """Return the next step, None after the last. ValueError if it is none of the steps."""
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
        # In the deprecation, the primary need not be scored any more: nothing to compare with.
        higher = [each.rollout for each in self.steps if each.rollout > step.rollout]
        largest = max(step.rollout, min(higher, default=0))
        return int(step.stage is not Stage.DEPRECATION and largest >= LABELS_BEFORE)

    def steps_at(self, rollout: float) -> tuple[Step, ...]:
        """Return the steps at a rollout; several where only time tells them apart."""
        return tuple(step for step in self.steps if step.rollout == rollout)

    def may_go(self, before: float, after: float) -> bool:
        """Say whether the rollout may change so: up by one step at most, down always."""
        if after <= before:
            return True
        higher = [step.rollout for step in self.steps if step.rollout > before]
        return bool(higher) and after <= higher[0]


def _conflict(at: Place, message: str) -> PydanticCustomError:
    """Return the error of values that contradict each other; `at` says which one to change."""
    context = {"message": f"{dotted(at)} {message}", "at": at}
    return PydanticCustomError("conflict", "{message}", context)


def _misplaced(before: Step | None, step: Step) -> tuple[str, str] | None:
    """Return (key, what is wrong) of a step that cannot stand where it does."""
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
