"""Shapes of load: the number of users over time."""

import math
from typing import Final

NAMES: Final = ("steady", "ramp", "spike", "soak")


def users_at(shape: str, users: int, progress: float) -> int:
    """Return the number of users, at most `users`, at `progress` (0 to 1) of the time.

    steady: all. ramp: linearly from 1 to all. spike: a quarter, and all in the middle fifth of the
    time. soak: 70 %, for long runs.
    """
    share = {
        "steady": 1.0,
        "ramp": progress,
        "spike": 1.0 if 0.4 <= progress < 0.6 else 0.25,
        "soak": 0.7,
    }[shape]
    return max(1, math.ceil(users * share))
