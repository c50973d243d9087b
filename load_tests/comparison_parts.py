"""Run one part of the comparison in a separate process, to measure its memory.

    python -m load_tests.comparison_parts evidence PAIRS LABELS
    python -m load_tests.comparison_parts scan PAIRS LABELS
    python -m load_tests.comparison_parts compact PAIRS INTO

The last line is JSON: seconds, processor seconds, peak memory in MB, and a count.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow.dataset  # noqa: F401 - here and below, so that imports are not measured

import comparison.engines.parquet  # noqa: F401
from comparison.engines.embedded import connect
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.pairs.compacted import PAIRS
from comparison.pairs.compaction.runs import compact as take
from comparison.pairs.opening import find_files, open_file
from flags.pairing.kinds import registry
from flags.playbook.model import Playbook
from load_tests.generated_pairs import BEGIN, DAYS, FLAG
from load_tests.peers.tables import peak

for package in ("comparison.counts.kinds", "comparison.evidence.kinds", "flags.gate.checks"):
    registry.layer(package)

WARM_UP = 2**20
"""Bytes that are compacted first, so that imports are not measured."""


def evidence(pairs: Path, labels: Path) -> int:
    """Compute all evidence of the gate and decide; return the number of checks."""
    _, judgement = judge(
        FlagPairs.at(pairs, FLAG),
        Playbook(flag=FLAG, label_cut_off=timedelta(0)),
        now=BEGIN + timedelta(days=DAYS),
        step="10",
        window=TimeWindow(),
        additions=Additions.read(labels, None),
    )
    print(judgement.verdict.decision, *judgement.verdict.reasons, sep="\n  ")
    return len(judgement.verdict.checks)


def scan(pairs: Path, labels: Path) -> int:
    """Only read each column that the evidence uses, once; return the number of rows."""
    connection = connect()
    rows = 0
    for name, files in (("pairs", pairs / PAIRS / "**" / "*.parquet"), ("labels", labels)):
        table = connection.read_parquet(str(files), table_name=name)
        sizes = {
            column: table[column].length().sum() if kind.is_string() else table[column].max()
            for column, kind in table.schema().items()
            if column not in ("span_id", "trace_id", "api", "reason", "variant")
        }
        rows += table.agg(n=table.count(), **sizes).to_pyarrow()["n"][0].as_py()
    return rows


def compact(pairs: Path, into: Path) -> int:
    """Compact a folder of pair files; return the number of pairs."""
    return take(pairs, into).pairs


def warm_up(pairs: Path) -> None:
    """Compact the first lines of a folder into a temporary one."""
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "pairs"
        few.mkdir()
        with open_file(find_files(pairs)[0]) as file:
            first = file.read(WARM_UP)
        (few / "first.jsonl").write_bytes(first[: first.rindex(b"\n") + 1])
        compact(few, Path(folder) / "compacted")


PARTS: dict[str, Callable[[Path, Path], int]] = {
    "evidence": evidence,
    "scan": scan,
    "compact": compact,
}


def processor_time() -> float:
    """Return the processor seconds of this process and of its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(arguments: list[str]) -> None:
    """Run the part, and print its figures."""
    part, first, second = arguments[0], Path(arguments[1]), Path(arguments[2])
    if part == "compact":
        warm_up(first)
    began, used = time.perf_counter(), processor_time()
    count = PARTS[part](first, second)
    figures = {
        "seconds": time.perf_counter() - began,
        "processor": processor_time() - used,
        "megabytes": peak(),
        "figures": count,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
