"""The pairs of one flag: its runs, visits, and since when its candidate is the present one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
from ibis import _

from comparison.engines.clocks import DatedPairs
from comparison.engines.grouping import empty, framed
from comparison.engines.sources import FramePairs, PairSource, open_source
from comparison.errors import (
    FlagNotFoundError,
    NoPairsError,
    RolloutNotFoundError,
    SeveralFlagsError,
)
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
from comparison.pairs.reader import Pairs
from comparison.summary.figures import nothing_found

if TYPE_CHECKING:
    import ibis.expr.types as ir

_EARLIEST: Final = datetime.fromtimestamp(0, UTC)
_ENDS: Final = {"first": "int64", "last": "int64"}
_NULLABLE_ENDS: Final = dict.fromkeys(_ENDS, "Int64")


@dataclass(frozen=True, slots=True)
class FlagPairs:
    """Hold the pairs of one flag at a place, ready for an engine."""

    flag: str
    source: PairSource

    @classmethod
    def at(cls, place: str | Path, flag: str | None) -> "FlagPairs":
        """Open a place with pairs. Raises a ComparisonError if there is nothing to compare."""
        source = open_source(place)
        flags = _flags(source)
        if not flags:
            raise NoPairsError(nothing_found(source.name, source.accounting))
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

    def candidate_since(self, until: datetime) -> datetime:
        """Return since when both sides have had their present models and thresholds.

        What does not depend on who answers is counted from then on, whatever the rollout was; what
        happened downstream too.
        """
        answered = self.source.table(None, until).filter(
            _.primary_status == "ok", _.candidate_status == "ok"
        )
        slots = self._slots(answered, "primary_model", "candidate_model")
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
        step = self.source.table(since, until)
        if rollout is not None:
            step = step.filter(_.rollout == rollout)
        thresholds = [name for name in step.columns if "_threshold." in name]
        slots = self._slots(step, *thresholds)
        return since if slots.empty else changed_at(slots, since, given=given)

    def rollout_slots(self, since: datetime | None, until: datetime) -> pd.DataFrame:
        """Count the pairs by slot of time and rollout, as `rollout_runs` wants them."""
        return self._slots(self.source.table(since, until), "rollout")

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
