"""Find when the candidate's present threshold began to hold, from what the pairs were decided at.

A threshold that is put into the flag's payload reaches the workers one after the other, as a
percentage does. What was decided before must not be counted with what was decided after.
"""

from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from comparison.judgement.runs import latest_run, moment

FOLLOWED: Final = timedelta(seconds=60)
"""Within this time all workers follow a change: four of the longest usual poll intervals."""


def changed_at(slots: pd.DataFrame, since: datetime, *, given: bool) -> datetime:
    """Return from when on pairs were decided at one threshold of the candidate, `since` if always.

    `slots` counts pairs from `since` on by time and thresholds: columns `slot`, `n`, `first` and
    `last` as in `comparison.judgement.runs.latest_run`, and one of each threshold, whose name
    begins with its side. A window whose beginning was `given` loses what the first minute has of an
    earlier threshold, and no more: beyond that it is what somebody asked for, and a mixture.

    Where the primary's thresholds differ too, they go with the requests, and none has changed.
    """
    primary, candidate = (_known(slots, f"{side}_threshold.") for side in ("primary", "candidate"))
    if candidate.empty or len(primary.drop_duplicates()) > 1:
        return since
    codes = candidate.groupby(list(candidate), sort=False).ngroup().astype("float64")
    decided = slots.loc[candidate.index].assign(rollout=codes)
    run = latest_run(decided)
    if run is None or (others := decided.loc[codes != run.rollout]).empty:
        return since
    begun = moment(int(others["last"].max())) + timedelta(microseconds=1)
    if begun > run.since + FOLLOWED:  # both go on beside each other
        return since
    return since if given and begun > since + FOLLOWED else max(since, begun)


def _known(slots: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return the rows and columns with thresholds: a side that failed has decided nothing."""
    columns = [name for name in slots.columns if name.startswith(prefix)]
    return slots[columns].dropna(axis="columns", how="all").dropna()
