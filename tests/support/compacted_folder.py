"""A compacted folder to which runs are added: pairs with all that is counted."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from comparison.pairs.compacted import STATE_FILE, CompactionState
from comparison.pairs.compaction.parts import PartWriter

OUTPUTS: Final = ("fraud", "abuse")


def some_pairs(
    seed: int,
    since: datetime,
    hours: int,
    size: int,
    rollout: float,
    outputs: Sequence[str] = OUTPUTS,
) -> pd.DataFrame:
    """Return pairs of outputs with units, segments, failures and requests sent again."""
    random = np.random.default_rng(seed)
    steps = np.sort(random.integers(0, hours * 3_600_000_000, size)) * 1000
    served = np.where(random.random(size) < rollout / 100, "candidate", "primary")
    failed = random.random(size) < 0.03
    columns = {
        "span_id": [f"{seed:04x}{number:012x}" for number in range(size)],
        "request_id": [f"r{seed}-{number // 2}" for number in range(size)],
        "time": pd.to_datetime(since) + pd.to_timedelta(steps),
        "flag": "flag",
        "worker": f"w{seed}",
        "sequence": pd.array(range(1, size + 1), "Int64"),
        "unit": random.choice(["u1", "u2", "u3", "u4", None], size),
        "stickiness": "userId",
        "rollout": rollout,
        "active": served,
        "served": served,
        "fallback": False,
        "primary_status": "ok",
        "candidate_status": np.where(failed, "error", "ok"),
        "primary_model": "m:1",
        "candidate_model": "m:2",
        "primary_duration": random.lognormal(-5, 1, size),
        "candidate_duration": np.where(failed, np.nan, random.lognormal(-5, 1, size)),
        "segment.country": random.choice(["CH", "DE", None], size),
        "feature.amount": random.lognormal(3, 1, size),
    }
    for output in outputs:
        score = random.random(size)
        for side, noise in (("primary", 0.0), ("candidate", 0.1)):
            seen = np.clip(score + noise * random.normal(size=size), 0, 1)
            if side == "candidate":
                seen = np.where(failed, np.nan, seen)
            columns[f"{side}_score.{output}"] = seen
            columns[f"{side}_threshold.{output}"] = np.where(np.isnan(seen), np.nan, 0.8)
            said = pd.array(seen >= 0.8, "boolean")
            said[np.isnan(seen)] = pd.NA
            columns[f"{side}_decision.{output}"] = said
    return pd.DataFrame(columns)


class CompactedFolder:
    """A compacted folder to which runs are added."""

    def __init__(self, path: Path, outputs: Sequence[str] = OUTPUTS) -> None:
        self.path = path
        self.outputs = outputs
        self.runs = 0
        path.mkdir()

    def add(
        self,
        since: datetime,
        hours: int,
        size: int,
        rollout: float,
        *,
        tracked: Sequence[Mapping[str, Any]] = (),
        at: datetime | None = None,
    ) -> None:
        """Add a run; `at` is when it was."""
        self.runs += 1
        writer = PartWriter(self.path, self.path, self.runs)
        writer.write(some_pairs(self.runs, since, hours, size, rollout, self.outputs))
        writer.finish((), tracked=tracked)
        state = self.path / STATE_FILE
        state.write_bytes(CompactionState(runs=self.runs, outputs=list(self.outputs)).dumps())
        if at is not None:
            os.utime(state, (at.timestamp(), at.timestamp()))
