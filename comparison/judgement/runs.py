"""The beginning of the present rollout, from the pairs of all workers.

Workers see a change one after the other, and one of them may never see it: so around a change, and
perhaps long after it, pairs of both rollouts alternate. Neighbouring slots of time are merged into
parts with enough pairs for a majority. A run is a sequence of parts with the same majority.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pandas as pd

SECOND: Final = 1_000_000_000
"""A second in nanoseconds."""

MAJORITY: Final = 20
"""Smallest number of pairs of a part: with fewer, one worker that lags behind could decide."""

_SLOTS: Final = 1_000
"""Number of slots of a window between 17 minutes and 17 hours."""

LONGEST_SLOT: Final = 60 * SECOND
"""In nanoseconds."""


@dataclass(frozen=True, slots=True)
class PairRun:
    """The time in which a rollout was in force: [since, until) covers its pairs."""

    rollout: float
    since: datetime
    until: datetime
    newest: bool
    """Whether no other rollout came after it."""


def slot_size(span: int) -> int:
    """Return the length of slots for a span of pairs: a second to a minute; all in nanoseconds."""
    return min(max(span // _SLOTS, SECOND), LONGEST_SLOT)


def rollouts(slots: pd.DataFrame) -> list[float]:
    """Return the rollouts that occur, ascending."""
    return sorted(slots["rollout"].dropna().unique().tolist())


def latest_run(slots: pd.DataFrame, rollout: float | None = None) -> PairRun | None:
    """Return the latest run, of `rollout` if that is given; None without a run.

    `slots` counts pairs by time and rollout: columns `slot` (int64, ascending with time),
    `rollout` (float64, NaN: unknown), `n`, `first` and `last` (nanoseconds since 1970, int64).
    """
    known = slots.dropna(subset=["rollout"]).sort_values("slot", kind="stable")
    known = known.assign(part=_parts(known))
    counts = known.groupby(["part", "rollout"], as_index=False)[["n", "last"]].agg(
        {"n": "sum", "last": "max"}
    )
    ruling = counts.sort_values(["part", "n", "last"]).groupby("part")["rollout"].last()
    if rollout is not None:
        times = ruling.index[ruling == rollout]
        ruling = ruling.loc[: times[-1]] if len(times) else ruling.iloc[:0]
    if ruling.empty:
        return None
    present = float(ruling.iloc[-1])
    others = ruling.index[ruling != present]
    begin, end = (int(others[-1]) if len(others) else 0), int(ruling.index[-1])
    around = known["part"].between(begin, end + 1)  # with early and late workers
    rows = known.loc[around & (known["rollout"] == present)]
    return PairRun(
        rollout=present,
        since=moment(int(rows["first"].min())),
        until=moment(int(rows["last"].max())) + timedelta(microseconds=1),
        newest=end == int(known["part"].max()),
    )


def models_since(slots: pd.DataFrame) -> datetime | None:
    """Return the time from which on both sides have had the models that most pairs have now.

    `slots` counts pairs by time and the columns `primary_model` and `candidate_model`. Models that
    keep running side by side are a mixture, and not a change: the result is None. While workers are
    replaced one after the other, which takes minutes, both run side by side, but one of them ends.
    """
    names = ["primary_model", "candidate_model"]
    codes = slots.groupby(names, dropna=False, sort=False).ngroup().astype("float64")
    run = latest_run(slots.assign(rollout=codes))
    if run is None:
        return None
    others = slots.loc[codes != run.rollout]
    if others.empty:
        return run.since
    begun = moment(int(others["last"].max())) + timedelta(microseconds=1)
    if begun > min(run.since + FOLLOWED, run.until) and not _have_ended(slots, others, run, begun):
        return None
    return max(run.since, begun)


def _have_ended(slots: pd.DataFrame, others: pd.DataFrame, run: PairRun, begun: datetime) -> bool:
    """Return whether other models, which ran beside those of a run until `begun`, have ended.

    They have been absent for as long as they ran, or for a day, and for so many pairs that chance
    does not explain it.
    """
    if run.until - begun < min(begun - run.since, _ENDED):
        return False
    beside = slots["first"].map(moment).between(run.since, begun)
    late = others["last"].map(moment) >= run.since
    share = others.loc[late, "n"].sum() / slots.loc[beside, "n"].sum()
    after = slots.loc[slots["first"].map(moment) >= begun, "n"].sum()
    return bool(share * after >= MAJORITY)


def steps_taken(slots: pd.DataFrame) -> int:
    """Return the number of runs: a return to an earlier rollout counts again."""
    known = slots.dropna(subset=["rollout"]).sort_values("slot", kind="stable")
    known = known.assign(part=_parts(known))
    counts = known.groupby(["part", "rollout"], as_index=False)[["n"]].sum()
    ruling = counts.sort_values(["part", "n", "rollout"]).groupby("part")["rollout"].last()
    return max(1, int((ruling != ruling.shift()).sum()))


def _parts(slots: pd.DataFrame) -> "pd.Series[int]":
    """Return the number of each slot's part; a part has about `MAJORITY` pairs or more."""
    before = slots.groupby("slot")["n"].sum().cumsum().shift(fill_value=0)
    numbers, _ = pd.factorize(before // MAJORITY)
    return slots["slot"].map(pd.Series(numbers, index=before.index))


def moment(nanoseconds: int) -> datetime:
    """Convert nanoseconds since 1970 to a time, rounded down to microseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)


FOLLOWED: Final = timedelta(seconds=60)
"""Time within which all workers see a change: four of the longest usual poll intervals."""

_ENDED: Final = timedelta(days=1)
"""Time without a pair after which models have ended, at the latest."""

STRAGGLING: Final = 0.05
"""Largest share of pairs with the old threshold, after a change, that one late worker explains."""


def changed_at(slots: pd.DataFrame, since: datetime, *, given: bool) -> datetime:
    """Return the time from which on each side has had one threshold, at the earliest `since`.

    `slots` counts pairs from `since` on by time and thresholds: columns `slot`, `n`, `first` and
    `last` as for `latest_run`, and one for each threshold, whose name begins with its side. If a
    user has `given` the beginning, at most its first minute is cut off, where an earlier threshold
    remains; a later change leaves the window as it was asked for, and a mixture.

    Thresholds that keep occurring side by side depend on the request: they have not changed.
    """
    primary, candidate = (_known(slots, f"{side}_threshold.") for side in ("primary", "candidate"))
    both = candidate.join(primary, how="inner")
    if both.empty:
        return since
    codes = both.groupby(list(both), sort=False).ngroup().astype("float64")
    decided = slots.loc[both.index].assign(rollout=codes)
    run = latest_run(decided)
    if run is None or (others := decided.loc[codes != run.rollout]).empty:
        return since
    begun = moment(int(others["last"].max())) + timedelta(microseconds=1)
    if begun > run.since + FOLLOWED and not _is_straggling(decided, others, run.since):
        return since  # both keep occurring side by side
    return since if given and begun > since + FOLLOWED else max(since, begun)


def _is_straggling(decided: pd.DataFrame, others: pd.DataFrame, changed: datetime) -> bool:
    """Return whether few pairs after a change have the old threshold, those of one late worker.

    A threshold that few requests have was rare before as well, and is not a change.
    """
    if moment(int(decided["first"].min())) >= changed:
        return False
    after, late = (
        int(rows.loc[rows["first"].map(moment) >= changed, "n"].sum()) for rows in (decided, others)
    )
    return late <= STRAGGLING * after


def _known(slots: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return the rows and columns with thresholds: a side that failed has no threshold."""
    columns = [name for name in slots.columns if name.startswith(prefix)]
    return slots[columns].dropna(axis="columns", how="all").dropna()
