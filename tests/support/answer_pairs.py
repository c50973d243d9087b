"""Pairs whose answers are numbers, classes or other values, in an engine's table; and a judge."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from comparison.engines.embedded import connect, materialize, register_table
from comparison.engines.tables import TablePairs, nanoseconds
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.judgement.judgement import Judgement
from comparison.labels import LabelFiles
from flags.gate.evidence import Evidence
from flags.playbook.model import Playbook

FLAG = "answers-v2"
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 8
NOW = BEGIN + timedelta(days=DAYS)


def answer_pairs(values: Mapping[str, Any], *, rollout: float = 0, **columns: Any) -> pd.DataFrame:
    """Return pairs over eight days; `values` are columns such as `primary_score.price`."""
    size = len(next(iter(values.values())))
    steps = np.arange(size) * int(DAYS * 86_400e9) // size
    active = np.where(np.arange(size) % 100 < rollout, "candidate", "primary")
    return pd.DataFrame(
        {
            "time": nanoseconds(BEGIN) + steps,
            "span_id": [f"{number:016x}" for number in range(size)],
            "request_id": [f"r{number}" for number in range(size)],
            "flag": FLAG,
            "rollout": float(rollout),
            "active": active,
            "served": active,
            "primary_status": "ok",
            "candidate_status": "ok",
            "primary_duration": 0.001,
            "candidate_duration": 0.001,
            "worker": "w1",
            "sequence": np.arange(size) + 1,
            "primary_model": "v1",
            "candidate_model": "v2",
            **columns,
            **values,
        }
    )


def label_file(path: Path, labels: Any, column: str = "label") -> Path:
    """Write a label for each of the pairs, in their order."""
    ids = [f"r{number}" for number in range(len(labels))]
    pd.DataFrame({"request_id": ids, column: labels}).to_csv(path, index=False)
    return path


class DuckPairs(TablePairs):
    """Pairs in a DuckDB that computes once what is asked several times, as that of files does."""

    def __init__(self, pairs: pd.DataFrame) -> None:
        self._connection = connect()
        table = pa.Table.from_pandas(pairs, preserve_index=False)
        super().__init__(register_table(self._connection, "pairs", table))

    def cached(self, table: ir.Table) -> ir.Table:
        return materialize(self._connection, table)


def table_of(pairs: pd.DataFrame) -> TablePairs:
    """Show pairs to DuckDB."""
    return DuckPairs(pairs)


def playbook_of(**changes: Any) -> Playbook:
    """Return a playbook of a step that enough pairs and time have been spent on."""
    given = {
        "flag": FLAG,
        "label_cut_off": "0h",
        "gate": {"advance": {"completeness": 0, "unknown_loss": 1, "sample_ratio_p": 0}},
        "steps": [
            {"stage": "shadow", "rollout": 0, "hold": "7d", "min_pairs": 100, "min_labels": 1},
            {"stage": "canary", "rollout": 10, "hold": "7d", "min_pairs": 100, "min_labels": 1},
        ],
    }
    return Playbook.model_validate({**given, **changes})


def judged(
    pairs: pd.DataFrame,
    labels: Path | LabelFiles | None = None,
    playbook: Playbook | None = None,
) -> tuple[Evidence, Judgement]:
    """Judge the newest step."""
    return judge(
        FlagPairs(FLAG, table_of(pairs)),
        playbook or playbook_of(),
        now=NOW,
        window=TimeWindow(),
        additions=Additions.read(labels, None),
    )
