"""Cut pairs to a window."""

from dataclasses import replace
from datetime import datetime

from comparison.errors import NoPairsError, WindowEmptyError
from comparison.pairs.reader import Pairs


def within(pairs: Pairs, since: datetime | None, until: datetime | None) -> Pairs:
    """Return the pairs accepted from `since` until before `until`; the accounting stays whole.

    Raises WindowEmptyError if the window ends before it begins, NoPairsError if only pairs outside
    of it were found.
    """
    if since and until and since >= until:
        raise WindowEmptyError(f"the window ends ({until}) before it begins ({since})")
    time = pairs.frame["time"]
    rows = time.notna()
    if since:
        rows &= time >= since
    if until:
        rows &= time < until
    if rows.all():
        return pairs
    if not rows.any():
        first, last = time.iloc[0], time.iloc[-1]
        raise NoPairsError(
            f"{pairs.source} holds no pairs in the window, only from {first:%Y-%m-%d %H:%M:%S} "
            f"to {last:%Y-%m-%d %H:%M:%S} UTC"
        )
    return replace(pairs, frame=pairs.frame.loc[rows].reset_index(drop=True))
