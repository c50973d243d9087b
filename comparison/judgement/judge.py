"""The whole way of the gate, offline: from pairs and a playbook to a judgement."""

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
"""Of what is left out at the beginning of a step, from which on the verdict says so."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The time that is looked at; a bound that is None follows from the pairs and the clock.

    Where `carries`, `since` only says when the step began, and evidence is carried to it from the
    steps before. Without it, a given `since` is the beginning of all evidence.
    """

    since: datetime | None = None
    until: datetime | None = None
    drawn_since: datetime | None = None
    """From when on outcomes are looked at; None: since the candidate is the present one."""
    carries: bool = False


def take_evidence(
    found: FlagPairs,
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

    Where the window carries, what does not depend on who answers is counted since both sides have
    had their present models and thresholds.

    Without a beginning the window begins with the rollout's latest run, or with the candidate's
    present threshold if that is younger. Without an end it ends `now`, or where another rollout
    followed. Pairs accepted up to `label_delay` before `now` are too young for a label.
    `thresholds`, by output and side, count instead of those recorded; `plans` say how outcomes
    are counted, by metric; `settings` what is fixed of numbers, by output.
    """
    found = found.believed(now)
    run = found.run(rollout)
    times = _Times.of(found, run, window, now)
    references, labels = additions.references, additions.labels
    prepared = PreparedPairs.of(
        found.source,
        flag=found.flag,
        rollout=run.rollout,
        since=times.begun or times.since,
        until=times.until,
        labels=labels,
        label_cutoff=cut_off(now, label_delay),
        thresholds=thresholds,
        step_since=None if times.begun is None else times.since,
    )
    taken = evidence(
        count(
            prepared,
            feature_edges=references.edges if references else None,
            warm_up=warm_up,
            settings=settings,
        ),
        source=found.source.name,
        since=times.since,
        until=times.until,
        rollout=run.rollout,
        accounting=found.source.accounting,
        references=references,
        contradicted=labels.facts.contradicted if labels else 0,
        now=now,
        begun=times.begun,
        visit=found.visits(times.begun, times.until) if times.begun else 1,
        set_aside=found.set_aside,
        thresholds_since=times.thresholds_since,
        warm_up=warm_up,
    )
    taken = replace(taken, window=replace(taken.window, is_cut=times.is_cut))
    seen_until = min(now, window.until or now)
    return with_outcomes(
        with_preferences(taken, found, additions.preferences),
        found,
        prepared,
        additions,
        plans or {},
        since=window.drawn_since or times.begun,
        now=seen_until,
        label_cutoff=cut_off(seen_until, label_delay),
    )


@dataclass(frozen=True, slots=True)
class _Times:
    """Hold from when to when pairs are looked at."""

    since: datetime
    """When the step began, or the candidate's present model or threshold if that is younger."""
    until: datetime
    begun: datetime | None
    """From when on evidence is carried to the step; None where it is not."""
    thresholds_since: datetime | None
    """When thresholds changed after somebody's `since`; None if they did not."""
    is_cut: bool
    """Whether much is left out at the beginning of the step."""

    @classmethod
    def of(cls, found: FlagPairs, run: PairRun, window: TimeWindow, now: datetime) -> "_Times":
        """Return a window with the bounds that it leaves open. Raises WindowEmptyError."""
        given = window.since or run.since
        until = window.until or (max(now, run.until) if run.newest else run.until)
        if given >= until:
            raise WindowEmptyError(f"the window ends ({until}) before it begins ({given})")
        begun = found.candidate_since(until) if window.carries else None
        changed = None
        if begun is not None:
            since = max(given, begun)
        else:
            is_chosen = window.since is not None
            since = found.settled(run.rollout, given, until, given=is_chosen)
            if is_chosen:
                changed = found.settled(run.rollout, since, until, given=False)
        return cls(
            since=since,
            until=until,
            begun=begun,
            thresholds_since=changed if changed and changed > since else None,
            is_cut=since - given >= _CUT,
        )


def judge(
    found: FlagPairs,
    playbook: Playbook,
    *,
    now: datetime,
    step: str | None = None,
    window: TimeWindow,
    additions: Additions,
    readings: Sequence[AlarmReading] = (),
) -> tuple[Evidence, Judgement]:
    """Judge a step of a playbook, that of the newest rollout if it is not named.

    `readings` are those of operational alarms up to now. Raises StepNotFoundError if the playbook
    has no such step.
    """
    found = found.believed(now)
    chosen = chosen_step(playbook, step) if step else step_at(playbook, found.run().rollout)
    taken = take_step_evidence(found, playbook, chosen, now=now, window=window, additions=additions)
    return judge_evidence(taken, playbook, chosen, readings)


def take_step_evidence(
    found: FlagPairs,
    playbook: Playbook,
    step: Step,
    *,
    now: datetime,
    window: TimeWindow,
    additions: Additions,
) -> Evidence:
    """Return the evidence on a step of a playbook, as that wants it, without operational alarms."""
    if window.since is None:
        window = replace(window, carries=True)
    return take_evidence(
        found,
        now=now,
        window=window,
        additions=additions.about(playbook.features),
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
    """Judge evidence on a step, to which the readings of operational alarms are added."""
    alarms = operational_alarms(playbook, readings, taken.window.since, taken.window.until)
    taken = replace(taken, operational=alarms)
    return taken, Judgement(playbook, step, decide(taken, playbook, step, known))
