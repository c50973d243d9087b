"""The gate, offline: from pairs and a playbook to evidence and a judgement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from comparison.counts.aggregate import count
from comparison.counts.drawn.cut_off import cut_off
from comparison.counts.prepared import PreparedPairs
from comparison.errors import WindowEmptyError
from comparison.evidence.build import evidence
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judgement import Judgement, chosen_step, step_at
from comparison.judgement.outcomes import with_outcomes
from comparison.judgement.preferences import with_preferences
from comparison.judgement.runs import PairRun
from flags.gate.alarm_states import AlarmReading, operational_alarms
from flags.gate.decide import CachedChecks, decide
from flags.gate.evidence import Evidence
from flags.playbook.model import Playbook, Step
from flags.playbook.outcomes import OutcomePlan

_CUT: Final = timedelta(hours=1)
"""The verdict says so if at least this much is left out at the beginning of a step."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The window of time of the evidence; a bound that is None follows from pairs and clock.

    If `carries`, `since` is only the beginning of the step, and evidence is carried to it from the
    earlier steps. Otherwise a given `since` is the beginning of all evidence.
    """

    since: datetime | None = None
    until: datetime | None = None
    drawn_since: datetime | None = None
    """Beginning of the evidence on outcomes; None: the beginning of the present candidate."""
    carries: bool = False


def take_evidence(
    flag_pairs: FlagPairs,
    *,
    now: datetime,
    window: TimeWindow,
    additions: Additions,
    rollout: float | None = None,
    label_delay: timedelta = timedelta(0),
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    plans: Mapping[str, OutcomePlan] | None = None,
    warm_up: int = 0,
    settings: Mapping[str, Mapping[str, float]] | None = None,
) -> Evidence:
    """Return the evidence on one rollout, the newest one if `rollout` is None.

    If the window carries, figures that do not depend on the side that answers count from the time
    at which both sides got their present models and thresholds.

    Without a beginning the window begins with the rollout's latest run, or with the candidate's
    present threshold if that is younger. Without an end it ends `now`, or where another rollout
    followed. Pairs accepted up to `label_delay` before `now` are too young for a label.
    `thresholds`, by output and side, replace the recorded ones; `plans` say how each metric of
    outcomes is counted; `settings` are the playbook's figures about numbers, by output.
    """
    flag_pairs = flag_pairs.with_possible_times(now)
    run = flag_pairs.run(rollout)
    times = _Times.of(flag_pairs, run, window, now)
    references, labels = additions.references, additions.labels
    prepared = PreparedPairs.of(
        flag_pairs.source,
        flag=flag_pairs.flag,
        rollout=run.rollout,
        since=times.comparable_since or times.since,
        until=times.until,
        labels=labels,
        label_cutoff=cut_off(now, label_delay),
        thresholds=thresholds,
        step_since=None if times.comparable_since is None else times.since,
    )
    taken = evidence(
        count(
            prepared,
            feature_edges=references.edges if references else None,
            warm_up=warm_up,
            settings=settings,
        ),
        source=flag_pairs.source.name,
        since=times.since,
        until=times.until,
        rollout=run.rollout,
        accounting=flag_pairs.source.accounting,
        references=references,
        contradicted=labels.facts.contradicted if labels else 0,
        now=now,
        comparable_since=times.comparable_since,
        steps_taken=flag_pairs.steps_taken(times.comparable_since, times.until)
        if times.comparable_since
        else 1,
        impossible_times=flag_pairs.impossible_times,
        thresholds_since=times.thresholds_since,
        warm_up=warm_up,
    )
    taken = replace(
        taken, window=replace(taken.window, step_began_earlier=times.step_began_earlier)
    )
    seen_until = min(now, window.until or now)
    return with_outcomes(
        with_preferences(taken, flag_pairs, additions.preferences),
        flag_pairs,
        prepared,
        additions,
        plans or {},
        since=window.drawn_since or times.comparable_since,
        now=seen_until,
        label_cutoff=cut_off(seen_until, label_delay),
    )


@dataclass(frozen=True, slots=True)
class _Times:
    """The bounds of the evidence."""

    since: datetime
    """Beginning of the step, or of the candidate's present model or threshold if that is later."""
    until: datetime
    comparable_since: datetime | None
    """Beginning of the evidence that is carried to the step; None: none is carried."""
    thresholds_since: datetime | None
    """Time of a change of thresholds after a given `since`; None without a change."""
    step_began_earlier: bool
    """Whether `_CUT` or more is left out at the beginning of the step."""

    @classmethod
    def of(cls, flag_pairs: FlagPairs, run: PairRun, window: TimeWindow, now: datetime) -> "_Times":
        """Find the bounds that a window leaves open. Raises WindowEmptyError."""
        given = window.since or run.since
        until = window.until or (max(now, run.until) if run.newest else run.until)
        if given >= until:
            raise WindowEmptyError(f"the window ends ({until}) before it begins ({given})")
        comparable_since = flag_pairs.candidate_since(until) if window.carries else None
        changed = None
        if comparable_since is not None:
            since = max(given, comparable_since)
        else:
            is_chosen = window.since is not None
            since = flag_pairs.settled(run.rollout, given, until, given=is_chosen)
            if is_chosen:
                changed = flag_pairs.settled(run.rollout, since, until, given=False)
        return cls(
            since=since,
            until=until,
            comparable_since=comparable_since,
            thresholds_since=changed if changed and changed > since else None,
            step_began_earlier=since - given >= _CUT,
        )


def judge(
    flag_pairs: FlagPairs,
    playbook: Playbook,
    *,
    now: datetime,
    step: str | None = None,
    window: TimeWindow,
    additions: Additions,
    readings: Sequence[AlarmReading] = (),
) -> tuple[Evidence, Judgement]:
    """Judge a step of a playbook, by default the step of the newest rollout.

    `readings` are the readings of operational alarms up to now. Raises StepNotFoundError if the
    playbook has no such step.
    """
    flag_pairs = flag_pairs.with_possible_times(now)
    chosen = chosen_step(playbook, step) if step else step_at(playbook, flag_pairs.run().rollout)
    taken = take_step_evidence(
        flag_pairs, playbook, chosen, now=now, window=window, additions=additions
    )
    return judge_evidence(taken, playbook, chosen, readings)


def take_step_evidence(
    flag_pairs: FlagPairs,
    playbook: Playbook,
    step: Step,
    *,
    now: datetime,
    window: TimeWindow,
    additions: Additions,
) -> Evidence:
    """Return the evidence on a step by the settings of its playbook, without operational alarms."""
    if window.since is None:
        window = replace(window, carries=True)
    return take_evidence(
        flag_pairs,
        now=now,
        window=window,
        additions=additions.with_features(playbook.features),
        rollout=step.rollout,
        label_delay=playbook.label_cut_off,
        thresholds={name: plan.threshold.given for name, plan in playbook.outputs.items()},
        plans=playbook.outcomes,
        warm_up=playbook.warm_up,
        settings={name: plan.settings for name, plan in playbook.outputs.items()},
    )


def judge_evidence(
    taken: Evidence,
    playbook: Playbook,
    step: Step,
    readings: Sequence[AlarmReading],
    known: CachedChecks | None = None,
) -> tuple[Evidence, Judgement]:
    """Add the readings of operational alarms to the evidence on a step, and judge it."""
    alarms = operational_alarms(playbook, readings, taken.window.since, taken.window.until)
    taken = replace(taken, operational_alarms=alarms)
    return taken, Judgement(playbook, step, decide(taken, playbook, step, known))
