"""The whole way of the gate, offline: from pairs and a playbook to a judgement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from comparison.counts.aggregate import count
from comparison.counts.cut_off import cut_off
from comparison.counts.prepared import PreparedPairs
from comparison.errors import WindowEmptyError
from comparison.evidence.build import evidence
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judgement import Judgement, chosen_step, step_at
from comparison.judgement.outcomes import with_outcomes
from comparison.judgement.preferences import with_preferences
from flags.gate.alarm_states import AlarmReading, operational_alarms
from flags.gate.decide import KnownChecks, decide
from flags.gate.evidence import Evidence
from flags.playbook.model import Playbook, Step
from flags.playbook.outcomes import OutcomePlan

_CUT: Final = timedelta(hours=1)
"""Of what is left out at the beginning of a step, from which on the verdict says so."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Bound what is looked at; what is None follows from the pairs and the clock.

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
    since = given = window.since or run.since
    until = window.until or (max(now, run.until) if run.newest else run.until)
    if since >= until:
        raise WindowEmptyError(f"the window ends ({until}) before it begins ({since})")
    begun = found.candidate_since(until) if window.carries else None
    if begun is None:
        since = found.settled(run.rollout, since, until, given=window.since is not None)
    else:
        since = max(since, begun)
    changed = since
    if begun is None and window.since is not None:
        changed = found.settled(run.rollout, since, until, given=False)
    references = additions.references
    prepared = PreparedPairs.of(
        found.source,
        flag=found.flag,
        rollout=run.rollout,
        since=begun or since,
        until=until,
        labels=additions.labels,
        label_cutoff=cut_off(now, label_delay),
        thresholds=thresholds,
        step_since=None if begun is None else since,
    )
    taken = evidence(
        count(
            prepared,
            feature_edges=references.edges if references else None,
            warm_up=warm_up,
            settings=settings,
        ),
        source=found.source.name,
        since=since,
        until=until,
        rollout=run.rollout,
        accounting=found.source.accounting,
        references=references,
        contradicted=additions.labels.facts.contradicted if additions.labels else 0,
        now=now,
        begun=begun,
        visit=found.visits(begun, until) if begun else 1,
        set_aside=found.set_aside,
        thresholds_since=changed if changed > since else None,
        warm_up=warm_up,
    )
    taken = replace(taken, window=replace(taken.window, is_cut=since - given >= _CUT))
    return with_outcomes(
        with_preferences(taken, found, additions.preferences),
        found,
        prepared,
        additions,
        plans or {},
        since=window.drawn_since or begun,
        now=min(now, window.until or now),
        label_cutoff=cut_off(min(now, window.until or now), label_delay),
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
    known: KnownChecks | None = None,
) -> tuple[Evidence, Judgement]:
    """Judge evidence on a step, to which the readings of operational alarms are added."""
    alarms = operational_alarms(playbook, readings, taken.window.since, taken.window.until)
    taken = replace(taken, operational=alarms)
    return taken, Judgement(playbook, step, decide(taken, playbook, step, known))
