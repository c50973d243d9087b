"""The whole way of the gate, offline: from pairs and a playbook to a judgement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
from ibis import _

from comparison.counts.aggregate import aggregate
from comparison.engines.clocks import DatedPairs
from comparison.engines.grouping import empty, framed
from comparison.engines.sources import FramePairs, PairSource, open_source
from comparison.errors import (
    FlagNotFoundError,
    NoPairsError,
    RolloutNotFoundError,
    SeveralFlagsError,
    WindowEmptyError,
)
from comparison.evidence.build import evidence
from comparison.evidence.drift import References
from comparison.judgement.judgement import Judgement, chosen_step, step_at
from comparison.judgement.outcomes import with_outcomes
from comparison.judgement.preferences import with_preferences
from comparison.judgement.runs import (
    PairRun,
    changed_at,
    latest_run,
    models_since,
    moment,
    rollouts,
    slot_size,
    visits,
)
from comparison.judges.preferences import Preferences, load_preferences
from comparison.labels import LabelFiles, Labels
from comparison.outcomes import Outcomes, load_outcomes, unit_key
from comparison.pairs.reader import Pairs
from comparison.summary.figures import nothing_found
from flags.gate import decide
from flags.gate.alarm_states import AlarmReading, operational_alarms
from flags.gate.evidence import Evidence
from flags.playbook.model import Playbook
from flags.playbook.outcomes import OutcomePlan

if TYPE_CHECKING:
    import ibis.expr.types as ir

_ENDS: Final = {"first": "int64", "last": "int64"}
_NULLABLE_ENDS: Final = dict.fromkeys(_ENDS, "Int64")


@dataclass(frozen=True, slots=True)
class FlagPairs:
    """Hold the pairs of one flag at a place, ready for an engine."""

    flag: str
    source: PairSource

    @classmethod
    def at(cls, path: Path, flag: str | None) -> "FlagPairs":
        """Open a place with pairs. Raises a ComparisonError if there is nothing to compare."""
        source = open_source(path)
        flags = _flags(source)
        if not flags:
            raise NoPairsError(nothing_found(source.name, source.accounting))
        if flag is None and len(flags) > 1:
            raise SeveralFlagsError(path, flags)
        if flag not in (None, *flags):
            raise FlagNotFoundError(path, str(flag), flags)
        return cls(flag or flags[0], source)

    @classmethod
    def of(cls, pairs: Pairs) -> "FlagPairs":
        """Take pairs that have been read. Raises NoPairsError if there are none."""
        if pairs.frame.empty or pairs.flag is None:
            raise NoPairsError(nothing_found(str(pairs.source), pairs.accounting))
        return cls(pairs.flag, FramePairs.of(pairs))

    def run(self, rollout: float | None = None) -> PairRun:
        """Return the latest run, of `rollout` if that is given.

        Raises RolloutNotFoundError if no pair was made at it, or none says at which it was made.
        """
        slots = self._slots(self.source.table(), "rollout")
        run = latest_run(slots, rollout)
        if run is None:
            raise RolloutNotFoundError(self.source.name, rollout, rollouts(slots))
        return run

    def first(self, rollout: float, since: datetime) -> datetime | None:
        """Return the time of the first pair made at a rollout from `since` on, None without."""
        pairs = self.source.table(since).filter(_.flag == self.flag, _.rollout == rollout)
        earliest = pairs.agg(first=_.time.min()).to_pyarrow()["first"][0].as_py()
        return None if earliest is None else moment(int(earliest))

    def believed(self, now: datetime) -> "FlagPairs":
        """Return these without the pairs whose time cannot be, seen from `now`."""
        if isinstance(self.source, DatedPairs):
            return self
        return FlagPairs(self.flag, DatedPairs.of(self.source, now))

    @property
    def set_aside(self) -> int:
        """Count the pairs whose time cannot be."""
        return self.source.set_aside if isinstance(self.source, DatedPairs) else 0

    def evidence_since(self, until: datetime) -> datetime:
        """Return since when both sides have had their present models and thresholds.

        What does not depend on who answers is counted from then on, whatever the rollout was.
        """
        answered = self.source.table(None, until).filter(
            _.primary_status == "ok", _.candidate_status == "ok"
        )
        slots = self._slots(answered, "primary_model", "candidate_model")
        begun = models_since(slots) if len(slots) else None
        earliest = datetime.fromtimestamp(0, UTC)
        return self.settled(None, begun or earliest, until, given=False)

    def visits(self, since: datetime, until: datetime) -> int:
        """Return at how many steps the flag has been since then, each return counted."""
        return visits(self.rollout_slots(since, until))

    def settled(
        self, rollout: float | None, since: datetime, until: datetime, *, given: bool
    ) -> datetime:
        """Return from when on the candidate had one threshold, at the earliest `since`.

        See `changed_at`; `given` says that somebody chose `since`.
        """
        step = self.source.table(since, until)
        if rollout is not None:
            step = step.filter(_.rollout == rollout)
        thresholds = [name for name in step.columns if "_threshold." in name]
        slots = self._slots(step, *thresholds)
        return since if slots.empty else changed_at(slots, since, given=given)

    def rollout_slots(self, since: datetime | None, until: datetime) -> pd.DataFrame:
        """Count the pairs by slot of time and rollout, as `rollout_runs` wants them."""
        return self._slots(self.source.table(since, until), "rollout")

    def candidate_since(self, until: datetime) -> datetime | None:
        """Return from when on the pairs are of the models and the threshold of the newest ones.

        None without a pair of which both models are known.
        """
        pairs = self.source.table(None, until).filter(_.flag == self.flag)
        tags = pairs.filter(_.primary_model.notnull(), _.candidate_model.notnull())
        models = tags.group_by("primary_model", "candidate_model")
        rows = framed(
            models.agg(first=_.time.min(), last=_.time.max()),
            {"primary_model": "string", "candidate_model": "string", **_ENDS},
        ).sort_values("last", kind="stable")
        if rows.empty:
            return None
        since = moment(int(rows["first"].iloc[-1]))
        if len(rows) > 1:
            since = max(since, moment(int(rows["last"].iloc[-2])) + timedelta(microseconds=1))
        drawn = self.source.table(since, until).filter(_.rollout > 0, _.rollout < 100)
        thresholds = [name for name in drawn.columns if "_threshold." in name]
        slots = self._slots(drawn, *thresholds)
        return since if slots.empty else changed_at(slots, since, given=False)

    def _slots(self, table: "ir.Table", *by: str) -> pd.DataFrame:
        """Count the pairs by slot of time and columns: models are texts, the others numbers."""
        kinds = {name: "string" if name.endswith("_model") else "float64" for name in by}
        pairs = table.filter(_.flag == self.flag)
        ends = framed(pairs.agg(first=_.time.min(), last=_.time.max()), _NULLABLE_ENDS)
        if ends.isna().any(axis=None):
            return empty({"slot": "int64", **kinds, **_ENDS})
        size = slot_size(int(ends["last"].iloc[0] - ends["first"].iloc[0]))
        counts = pairs.group_by(*by, slot=_.time // size).agg(
            n=_.count(), first=_.time.min(), last=_.time.max()
        )
        dtypes = {"slot": "int64", **kinds, "n": "int64", **_ENDS}
        return framed(counts, dtypes).sort_values("slot", kind="stable", ignore_index=True)


def _flags(source: PairSource) -> list[str]:
    rows = framed(source.table().select("flag").distinct(), {"flag": "string"})
    return sorted(rows["flag"].dropna().tolist())


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


@dataclass(frozen=True, slots=True)
class LabelsAndReferences:
    """Hold what comes from elsewhere than the pairs; None is not there."""

    labels: Labels | None = None
    references: References | None = None
    outcomes: Outcomes | None = None
    preferences: Preferences | None = None

    def about(self, features: Iterable[str] | None) -> "LabelsAndReferences":
        """Return these with the references of some features only; all if that is None."""
        if features is None or self.references is None:
            return self
        wanted = set(features)
        kept = {name: each for name, each in self.references.features.items() if name in wanted}
        return replace(self, references=replace(self.references, features=kept))

    @classmethod
    def read(
        cls,
        labels: Path | LabelFiles | None,
        reference: Path | None,
        outcomes: str | Path | None = None,
        preferences: Path | None = None,
    ) -> "LabelsAndReferences":
        """Read the files that are given. Raises a ComparisonError if one is not what it should."""
        return cls(
            _labels(labels),
            References.read(reference) if reference else None,
            load_outcomes(outcomes, unit_key()) if outcomes else None,
            load_preferences(preferences) if preferences else None,
        )


def _labels(place: Path | LabelFiles | None) -> Labels | None:
    if place is None:
        return None
    return (LabelFiles(place) if isinstance(place, Path) else place).read()


def take_evidence(
    found: FlagPairs,
    *,
    now: datetime,
    window: TimeWindow,
    additions: LabelsAndReferences,
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
    since = window.since or run.since
    until = window.until or (max(now, run.until) if run.newest else run.until)
    if since >= until:
        raise WindowEmptyError(f"the window ends ({until}) before it begins ({since})")
    begun = found.evidence_since(until) if window.carries else None
    if begun is None:
        since = found.settled(run.rollout, since, until, given=window.since is not None)
    else:
        since = max(since, begun)
    changed = since
    if begun is None and window.since is not None:
        changed = found.settled(run.rollout, since, until, given=False)
    references = additions.references
    aggregates = aggregate(
        found.source,
        flag=found.flag,
        rollout=run.rollout,
        since=begun or since,
        until=until,
        labels=additions.labels,
        label_cutoff=now - label_delay,
        feature_edges=references.edges if references else None,
        thresholds=thresholds,
        step_since=None if begun is None else since,
        warm_up=warm_up,
        settings=settings,
    )
    taken = evidence(
        aggregates,
        source=found.source.name,
        since=since,
        until=until,
        rollout=run.rollout,
        accounting=found.source.accounting,
        references=references,
        contradicted=additions.labels.contradicted if additions.labels else 0,
        now=now,
        begun=begun,
        visit=found.visits(begun, until) if begun else 1,
        set_aside=found.set_aside,
        thresholds_since=changed if changed > since else None,
        warm_up=warm_up,
    )
    return with_outcomes(
        with_preferences(taken, found, additions.preferences),
        found,
        additions,
        plans or {},
        since=window.drawn_since,
        now=min(now, window.until or now),
        label_delay=label_delay,
    )


def judge(
    found: FlagPairs,
    playbook: Playbook,
    *,
    now: datetime,
    step: str | None = None,
    window: TimeWindow,
    additions: LabelsAndReferences,
    readings: Sequence[AlarmReading] = (),
) -> tuple[Evidence, Judgement]:
    """Judge a step of a playbook, that of the newest rollout if it is not named.

    `readings` are those of operational alarms up to now. Raises StepNotFoundError if the playbook
    has no such step.
    """
    found = found.believed(now)
    chosen = chosen_step(playbook, step) if step else step_at(playbook, found.run().rollout)
    if window.since is None:
        window = replace(window, carries=True)
    taken = take_evidence(
        found,
        now=now,
        window=window,
        additions=additions.about(playbook.features),
        rollout=chosen.rollout,
        label_delay=playbook.label_cut_off,
        thresholds={name: plan.threshold.given for name, plan in playbook.outputs.items()},
        plans=playbook.outcomes,
        warm_up=playbook.warm_up,
        settings={name: plan.settings for name, plan in playbook.outputs.items()},
    )
    alarms = operational_alarms(playbook, readings, taken.window.since, taken.window.until)
    taken = replace(taken, operational=alarms)
    return taken, Judgement(playbook, chosen, decide(taken, playbook, chosen))
