"""The pairs of one flag: its runs, visits, and since when its candidate is the present one."""

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
from comparison.engines.embedded import table_behind
from comparison.engines.grouping import framed
from comparison.engines.kept.memory import KeptMemory
from comparison.engines.mergeable import MergeableCounts
from comparison.engines.sources import FramePairs, PairSource, open_source
from comparison.engines.worker_numbers import flags_made
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
    visits,
)
from comparison.pairs.reader import Pairs
from comparison.summary.empty_place import nothing_in
from comparison.summary.figures import nothing_found

if TYPE_CHECKING:
    import ibis.expr.types as ir

_EARLIEST: Final = datetime.fromtimestamp(0, UTC)
_ENDS: Final = {"first": "int64", "last": "int64"}
_ANSWERED: Final = "answered"
"""1 where both sides answered, else 0."""
_MODELS: Final = ("primary_model", "candidate_model")


@dataclass(frozen=True, slots=True)
class FlagPairs:
    """Hold the pairs of one flag at a place, ready for an engine."""

    flag: str
    source: PairSource
    _known: dict[tuple[object, ...], tuple[pa.Table, pd.DataFrame]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """Slots of the tables of counts that are kept: several questions are about the same."""

    @classmethod
    def at(
        cls, place: str | Path, flag: str | None, memory: KeptMemory | None = None
    ) -> "FlagPairs":
        """Open a place with pairs. Raises a ComparisonError if there is nothing to compare."""
        source = open_source(place, memory)
        flags = flags_made(source)
        if not flags:
            raise NoPairsError(nothing_in(source))
        if flag is None and len(flags) > 1:
            raise SeveralFlagsError(source.name, flags)
        if flag not in (None, *flags):
            raise FlagNotFoundError(source.name, str(flag), flags)
        return cls(flag or flags[0], source)

    @classmethod
    def of(cls, pairs: Pairs) -> "FlagPairs":
        """Take pairs that have been read. Raises NoPairsError if there are none."""
        if pairs.frame.empty or pairs.flag is None:
            raise NoPairsError(nothing_found(str(pairs.source), pairs.accounting))
        return cls(pairs.flag, FramePairs.of(pairs))

    def run(self, rollout: float | None = None) -> PairRun:
        """Return the latest run, of `rollout` if that is given.

        Raises RolloutNotFoundError if no pair was made at it, or none says at which it was made,
        NoPairsError if none has a time that can be.
        """
        slots = self._slots(("rollout",))
        run = latest_run(slots, rollout)
        if run is None and slots.empty and self.set_aside:
            raise NoPairsError(
                f"{self.source.name}: all {self.set_aside:,} pairs have a time that cannot be "
                "(before 2020, in the future, or against the order of the worker's numbers): a "
                "clock was wrong, or times are not nanoseconds since 1970"
            )
        if run is None:
            raise RolloutNotFoundError(self.source.name, rollout, rollouts(slots))
        return run

    def first(self, rollout: float, since: datetime) -> datetime | None:
        """Return the time of the first pair made at a rollout from `since` on, None without."""
        slots = self._minutes(("rollout",), since)
        first = slots.loc[slots["rollout"] == rollout, "first"].min()
        return None if pd.isna(first) else moment(int(first))

    def believed(self, now: datetime) -> "FlagPairs":
        """Return these without the pairs whose time is impossible at `now`."""
        if isinstance(self.source, DatedPairs):
            return self
        return FlagPairs(self.flag, DatedPairs.of(self.source, now))

    @property
    def set_aside(self) -> int:
        """Count the pairs of the flag whose time is impossible."""
        dated = self.source
        return dated.set_aside_of.get(self.flag, 0) if isinstance(dated, DatedPairs) else 0

    def candidate_since(self, until: datetime) -> datetime:
        """Return since when both sides have had their present models and thresholds.

        What does not depend on who answers is counted from then on, whatever the rollout was; what
        happened downstream too.
        """
        slots = self._slots(_MODELS, until=until, which=_Which(answered=True))
        begun = models_since(slots) if len(slots) else None
        return self.settled(None, begun or _EARLIEST, until, given=False)

    def visits(self, since: datetime, until: datetime) -> int:
        """Return at how many steps the flag has been since then, each return counted."""
        return visits(self.rollout_slots(since, until))

    def settled(
        self, rollout: float | None, since: datetime, until: datetime, *, given: bool
    ) -> datetime:
        """Return from when on the candidate had one threshold, at the earliest `since`.

        See `changed_at`; `given` says that somebody chose `since`.
        """
        slots = self._slots(self._thresholds, since, until, _Which(rollout))
        return since if slots.empty else changed_at(slots, since, given=given)

    def rollout_slots(self, since: datetime | None, until: datetime) -> pd.DataFrame:
        """Count the pairs by slot of time and rollout, as `rollout_runs` wants them."""
        return self._slots(("rollout",), since, until)

    def _slots(
        self,
        by: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        which: "_Which | None" = None,
    ) -> pd.DataFrame:
        """Count the pairs by slot of time and columns: models are texts, the others numbers."""
        minutes = self._minutes(by, since, until, which)
        if minutes.empty:
            return minutes
        size = slot_size(int(minutes["last"].max() - minutes["first"].min()))
        if size == LONGEST_SLOT:
            return minutes
        return self._counted(by, since, until, which or _Which(), size)

    def _minutes(
        self,
        by: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        which: "_Which | None" = None,
    ) -> pd.DataFrame:
        return self._counted(by, since, until, which or _Which(), LONGEST_SLOT)

    def _counted(
        self,
        by: Sequence[str],
        since: datetime | None,
        until: datetime | None,
        which: "_Which",
        size: int,
    ) -> pd.DataFrame:
        columns = (*by, *(name for name in which.columns if name not in by))
        if self.source.keeps:  # one pass for all that is asked for
            columns = ("rollout", _ANSWERED, *_MODELS, *self._thresholds)
        dtypes = {"slot": "int64", **{name: _kind(name) for name in columns}, "n": "int64", **_ENDS}
        counts = self.source.counted(_slots(self.flag, columns, size), since, until)
        held = table_behind(counts)
        place = id(held), tuple(by), which
        if held is not None and place in self._known:
            return self._known[place][1]
        slots = which.of(framed(counts, dtypes))
        sums = slots.groupby(["slot", *by], as_index=False, dropna=False).agg(
            {"n": "sum", "first": "min", "last": "max"}
        )
        found = sums.sort_values(["slot", *by], kind="stable", ignore_index=True)
        if held is not None:
            self._known[place] = held, found
        return found

    @property
    def _thresholds(self) -> tuple[str, ...]:
        return tuple(name for name in self.source.table().columns if "_threshold." in name)


@dataclass(frozen=True, slots=True)
class _Which:
    """Say which pairs are counted: those made at a rollout, those that both sides answered."""

    rollout: float | None = None
    answered: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that tell."""
        return (*["rollout"] * (self.rollout is not None), *[_ANSWERED] * self.answered)

    def of(self, slots: pd.DataFrame) -> pd.DataFrame:
        """Keep those counts."""
        if self.rollout is not None:
            slots = slots.loc[slots["rollout"] == self.rollout]
        return slots.loc[slots[_ANSWERED] == 1] if self.answered else slots


def _kind(column: str) -> str:
    if column == _ANSWERED:
        return "int64"
    return "string" if column in _MODELS else "float64"


def _slots(flag: str, by: Sequence[str], size: int) -> MergeableCounts:
    """Count the pairs by slot of time and columns."""

    def rows(pairs: "ir.Table") -> "ir.Table":
        here = pairs.filter(_.flag == flag)
        ok = (here.primary_status == "ok") & (here.candidate_status == "ok")
        answered = ibis.ifelse(ok, 1, 0).cast("int64")
        told = {name: answered if name == _ANSWERED else here[name] for name in by}
        return here.select(slot=_.time // size, first=_.time, last=_.time, **told)

    return MergeableCounts(
        "slots",
        rows,
        ("slot", *by),
        {"n": "sum", "first": "least", "last": "largest"},
        (flag, size),
        is_kept=size == LONGEST_SLOT,
    )
