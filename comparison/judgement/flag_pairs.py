"""The pairs of one flag: its runs, the steps taken, and the beginning of its present candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from comparison.engines.clocks import DatedPairs
from comparison.engines.embedded import table_in_memory
from comparison.engines.grouping import framed
from comparison.engines.kept.memory import KeptMemory
from comparison.engines.mergeable import MergeableCounts
from comparison.engines.sources import FramePairs, PairSource, open_source
from comparison.engines.worker_numbers import recorded_flags
from comparison.errors import (
    FlagNotFoundError,
    NoPairsError,
    RolloutNotFoundError,
    SeveralFlagsError,
)
from comparison.judgement.runs import (
    LONGEST_SLOT,
    PairRun,
    changed_at,
    latest_run,
    models_since,
    moment,
    rollouts,
    slot_size,
    steps_taken,
)
from comparison.pairs.reader import Pairs
from comparison.summary.empty_place import empty_place_message
from comparison.summary.figures import empty_files_message

if TYPE_CHECKING:
    import ibis.expr.types as ir

_EARLIEST: Final = datetime.fromtimestamp(0, UTC)
_ENDS: Final = {"first": "int64", "last": "int64"}
_ANSWERED: Final = "answered"
"""Column: 1 where both sides answered, else 0."""
_MODELS: Final = ("primary_model", "candidate_model")


@dataclass(frozen=True, slots=True)
class FlagPairs:
    """The pairs of one flag at a place, to be counted by an engine."""

    flag: str
    source: PairSource
    _known: dict[tuple[object, ...], tuple[pa.Table, pd.DataFrame]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """Slots by kept table of counts, since several methods use the same table."""

    @classmethod
    def at(
        cls, place: str | Path, flag: str | None, memory: KeptMemory | None = None
    ) -> "FlagPairs":
        """Open a place. Raises a ComparisonError if it has no pairs of one flag to compare."""
        source = open_source(place, memory)
        flags = recorded_flags(source)
        if not flags:
            raise NoPairsError(empty_place_message(source))
        if flag is None and len(flags) > 1:
            raise SeveralFlagsError(source.name, flags)
        if flag not in (None, *flags):
            raise FlagNotFoundError(source.name, str(flag), flags)
        return cls(flag or flags[0], source)

    @classmethod
    def of(cls, pairs: Pairs) -> "FlagPairs":
        """Wrap pairs in memory. Raises NoPairsError without pairs."""
        if pairs.frame.empty or pairs.flag is None:
            raise NoPairsError(empty_files_message(str(pairs.source), pairs.accounting))
        return cls(pairs.flag, FramePairs.of(pairs))

    def run(self, rollout: float | None = None) -> PairRun:
        """Return the latest run, of `rollout` if that is given.

        Raises RolloutNotFoundError if no pair was made at that rollout, or if no pair has a
        rollout; NoPairsError if no pair has a possible time.
        """
        slots = self._slots(("rollout",))
        run = latest_run(slots, rollout)
        if run is None and slots.empty and self.impossible_times:
            raise NoPairsError(
                f"{self.source.name}: all {self.impossible_times:,} pairs have an impossible time "
                "(before 2020, in the future, or against the order of the worker's numbers): a "
                "clock was wrong, or times are not nanoseconds since 1970"
            )
        if run is None:
            raise RolloutNotFoundError(self.source.name, rollout, rollouts(slots))
        return run

    def first(self, rollout: float, since: datetime) -> datetime | None:
        """Return the time of the first pair at a rollout from `since` on, None without one."""
        slots = self._minutes(("rollout",), since)
        first = slots.loc[slots["rollout"] == rollout, "first"].min()
        return None if pd.isna(first) else moment(int(first))

    def with_possible_times(self, now: datetime) -> "FlagPairs":
        """Return a copy without the pairs whose time is impossible at `now`."""
        if isinstance(self.source, DatedPairs):
            return self
        return FlagPairs(self.flag, DatedPairs.of(self.source, now))

    @property
    def impossible_times(self) -> int:
        """Count the pairs of the flag whose time is impossible."""
        dated = self.source
        return dated.impossible_times_of.get(self.flag, 0) if isinstance(dated, DatedPairs) else 0

    def candidate_since(self, until: datetime) -> datetime:
        """Return the time from which on both sides have had their present models and thresholds.

        Figures that do not depend on the side that answers count from then on, at any rollout;
        outcomes do too.
        """
        slots = self._slots(_MODELS, until=until, where=_Filter(answered=True))
        begun = models_since(slots) if len(slots) else None
        return self.settled(None, begun or _EARLIEST, until, given=False)

    def steps_taken(self, since: datetime, until: datetime) -> int:
        """Return the number of steps of the flag in a window; each return to a step counts."""
        return steps_taken(self.rollout_slots(since, until))

    def settled(
        self, rollout: float | None, since: datetime, until: datetime, *, given: bool
    ) -> datetime:
        """Return the time from which on each side has had one threshold, at the earliest `since`.

        See `changed_at`; `given` says that a user chose `since`.
        """
        slots = self._slots(self._thresholds, since, until, _Filter(rollout))
        return since if slots.empty else changed_at(slots, since, given=given)

    def rollout_slots(self, since: datetime | None, until: datetime) -> pd.DataFrame:
        """Count the pairs by slot of time and rollout, for `rollout_runs`."""
        return self._slots(("rollout",), since, until)

    def _slots(
        self,
        by: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        where: "_Filter | None" = None,
    ) -> pd.DataFrame:
        """Count the pairs by slot of time and columns: models are texts, the others numbers."""
        minutes = self._minutes(by, since, until, where)
        if minutes.empty:
            return minutes
        size = slot_size(int(minutes["last"].max() - minutes["first"].min()))
        if size == LONGEST_SLOT:
            return minutes
        return self._counted(by, since, until, where or _Filter(), size)

    def _minutes(
        self,
        by: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        where: "_Filter | None" = None,
    ) -> pd.DataFrame:
        return self._counted(by, since, until, where or _Filter(), LONGEST_SLOT)

    def _counted(
        self,
        by: Sequence[str],
        since: datetime | None,
        until: datetime | None,
        where: "_Filter",
        size: int,
    ) -> pd.DataFrame:
        columns = (*by, *(name for name in where.columns if name not in by))
        if self.source.keeps_counts:  # one pass for all methods
            columns = ("rollout", _ANSWERED, *_MODELS, *self._thresholds)
        dtypes = {"slot": "int64", **{name: _kind(name) for name in columns}, "n": "int64", **_ENDS}
        counts = self.source.counted(_slots(self.flag, columns, size), since, until)
        table = table_in_memory(counts)
        key = id(table), tuple(by), where
        if table is not None and key in self._known:
            return self._known[key][1]
        slots = where.of(framed(counts, dtypes))
        sums = slots.groupby(["slot", *by], as_index=False, dropna=False).agg(
            {"n": "sum", "first": "min", "last": "max"}
        )
        found = sums.sort_values(["slot", *by], kind="stable", ignore_index=True)
        if table is not None:
            self._known[key] = table, found
        return found

    @property
    def _thresholds(self) -> tuple[str, ...]:
        return tuple(name for name in self.source.table().columns if "_threshold." in name)


@dataclass(frozen=True, slots=True)
class _Filter:
    """A filter of pairs: those at a rollout (None: at any), those that both sides answered."""

    rollout: float | None = None
    answered: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the filter needs."""
        return (*["rollout"] * (self.rollout is not None), *[_ANSWERED] * self.answered)

    def of(self, slots: pd.DataFrame) -> pd.DataFrame:
        """Return the counts that pass the filter."""
        if self.rollout is not None:
            slots = slots.loc[slots["rollout"] == self.rollout]
        return slots.loc[slots[_ANSWERED] == 1] if self.answered else slots


def _kind(column: str) -> str:
    if column == _ANSWERED:
        return "int64"
    return "string" if column in _MODELS else "float64"


def _slots(flag: str, by: Sequence[str], size: int) -> MergeableCounts:
    """Return the counts of a flag's pairs by slot of time and columns."""

    def rows(pairs: "ir.Table") -> "ir.Table":
        here = pairs.filter(_.flag == flag)
        ok = (here.primary_status == "ok") & (here.candidate_status == "ok")
        answered = ibis.ifelse(ok, 1, 0).cast("int64")
        keys = {name: answered if name == _ANSWERED else here[name] for name in by}
        return here.select(slot=_.time // size, first=_.time, last=_.time, **keys)

    return MergeableCounts(
        "slots",
        rows,
        ("slot", *by),
        {"n": "sum", "first": "least", "last": "largest"},
        (flag, size),
        is_kept=size == LONGEST_SLOT,
    )
