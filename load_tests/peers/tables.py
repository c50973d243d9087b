"""The pairs in the form that the other tools need: a table per side, with equal column names."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

OUTPUT = "fraud_probability"
NUMBERS = ["score", "amount", "transactions_7d"]
CATEGORIES = ["channel", "country"]


def tables(pairs: str, labels: str) -> dict[str, pd.DataFrame]:
    """Return a table for each side, with the pairs that both sides answered."""
    names = {
        "feature.amount": "amount",
        "feature.transactions_7d": "transactions_7d",
        "segment.channel": "channel",
        "segment.country": "country",
    }
    sides = ("primary", "candidate")
    own = [f"{side}_{what}.{OUTPUT}" for side in sides for what in ("score", "decision")]
    frame = pq.read_table(pairs, columns=["request_id", *names, *own]).to_pandas()
    known = pq.read_table(labels, columns=["request_id", "label"]).to_pandas()
    frame = frame.merge(known, on="request_id").dropna()
    shared = frame[list(names)].rename(columns=names)
    return {
        side: shared.assign(
            score=frame[f"{side}_score.{OUTPUT}"],
            alarm=frame[f"{side}_decision.{OUTPUT}"].astype(int),
            label=frame["label"].astype(int),
        ).reset_index(drop=True)
        for side in sides
    }


def timed(report: Callable[[], str]) -> None:
    """Run a report; print seconds, processor seconds, peak memory and size as JSON."""
    began, used = time.perf_counter(), time.process_time()
    size = len(report())
    figures = {
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - used,
        "megabytes": peak(),
        "figures": size,
    }
    print(json.dumps(figures))


def peak() -> float:
    """Return the peak memory of this process in MB, without that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [each for each in status.splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6
