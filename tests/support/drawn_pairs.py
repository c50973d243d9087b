"""Pairs that a flag drew between both sides while its rollout moved, in an engine's table."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from comparison.engines.embedded import connect, register_table
from comparison.engines.tables import TablePairs, nanoseconds
from flags.pairing.unit import unit_hash

FLAG = "fraud-detector-v2"
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
KEY = b"a key of the tests"


@dataclass(frozen=True)
class Phase:
    """A time in which the flag stays at a rollout."""

    rollout: float
    hours: float
    requests: int


PHASES = (Phase(1, 24, 100), Phase(10, 24, 100), Phase(50, 72, 200))


def drawn_pairs(
    *, seed: int = 1, phases: tuple[Phase, ...] = PHASES, users: int | None = 60, flips: float = 0.3
) -> pd.DataFrame:
    """Return pairs in order of time; with `users` the flag is sticky on them, else on requests.

    Columns as an engine has them, and `user` and `place` besides.
    """
    rng = np.random.default_rng(seed)
    frames, begin = [], BEGIN
    places = rng.random(users) * 100 if users else None
    for phase in phases:
        hours = np.sort(rng.random(phase.requests)) * phase.hours
        user = rng.integers(0, users, phase.requests) if users else np.arange(phase.requests)
        place = places[user] if places is not None else rng.random(phase.requests) * 100
        times = nanoseconds(begin) + (hours * 3.6e12).astype(np.int64)
        frames.append(
            pd.DataFrame(
                {"time": times, "user": user, "place": place, "rollout": float(phase.rollout)}
            )
        )
        begin += timedelta(hours=phase.hours)
    frame = pd.concat(frames, ignore_index=True)
    size = len(frame)
    primary = rng.random(size) < 0.2
    candidate = primary ^ (rng.random(size) < flips)
    return frame.assign(
        span_id=[f"{number:016x}" for number in range(size)],
        request_id=[f"r{number}" for number in range(size)],
        flag=FLAG,
        active=np.where(frame["place"] < frame["rollout"], "candidate", "primary"),
        stickiness="userId" if users else "requestId",
        unit=[unit_hash(KEY, f"user-{user}") for user in frame["user"]] if users else None,
        primary_status="ok",
        candidate_status="ok",
        **{
            "primary_decision.score": primary,
            "candidate_decision.score": candidate,
            "primary_score.score": np.where(primary, 0.9, 0.1),
            "candidate_score.score": np.where(candidate, 0.9, 0.1),
        },
    )


def table_of(pairs: pd.DataFrame) -> TablePairs:
    """Show pairs to DuckDB as a table of its own."""
    held = pa.Table.from_pandas(pairs.drop(columns=["user", "place"]), preserve_index=False)
    if pa.types.is_null(held.schema.field("unit").type):
        held = held.drop_columns(["unit"])
    return TablePairs(register_table(connect(), "pairs", held))
