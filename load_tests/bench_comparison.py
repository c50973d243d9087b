"""Measure the duration of the gate's evidence, and that of other tools, which compute less.

One run measures, each in a process of its own: the whole evidence of the gate, with labels, from a
compacted folder to the verdict, and again without new pairs; a plain read of the same columns;
evidently (drift, summary and quality presets) and nannyml (drift and quality) on the scores,
alarms, features, segments and labels of the same pairs, each in an environment of its own, created
by uv. Then the growth of the duration with the number of pairs, ten outputs against one, and the
speed of compaction.

    python load_tests/bench_comparison.py
    python load_tests/bench_comparison.py --pairs 100000 --growth 10000 --without-peers
    python load_tests/bench_comparison.py --growth 1000000 100000000

Generated pairs take 50 MB of disk a million, and are removed; the environments, 2.4 GB, are kept.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from flags.export.pair_files import FileLimits, PairFiles  # noqa: E402 - needs the line above
from flags.export.spans import PairSpans  # noqa: E402
from load_tests.bench_pairs import pair  # noqa: E402
from load_tests.generated_pairs import write_pairs  # noqa: E402

PEERS: Final = {
    "evidently": ("evidently==0.7.*", "pandas<3", "pyarrow"),
    "nannyml": ("nannyml==0.13.*", "pandas<3", "pyarrow", "statsmodels"),
}
"""Packages to install for each tool; nannyml needs statsmodels without declaring it."""
TIMES_SCAN, MEGABYTES, TIMES_ONE, FASTER, QUICKER = 5.0, 1_000.0, 2.0, 60.0, 100_000.0
"""Goals: times the scan, MB, ten outputs times one, times evidently, pairs compacted in a second
of one processor."""
COUNTED: Final = 1.0
"""Goal of a second look at the same pairs and labels, in processor-seconds after imports."""
MANY: Final = 100_000_000
MANY_MEGABYTES: Final = 2_000.0
"""Goal for the largest number of pairs, if `--growth` includes it."""
FEW: Final = 500
"""Pairs of ten outputs: with few, statements cost more than what they count."""
WAITING: Final = 2_000
"""Pairs that may wait for the disk while pair files are written."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one part; `processor` is the sum over all threads."""

    seconds: float
    processor: float
    megabytes: float
    figures: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.processor:.1f} processor-s, {self.megabytes:.0f} MB"


def run(command: Sequence[str | Path], folder: Path) -> Measured:
    """Run a part and parse the last line of its output; earlier lines go to stderr."""
    done = subprocess.run(
        [str(each) for each in command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    *said, last = done.stdout.splitlines()
    print(*said, sep="\n", file=sys.stderr, flush=True)
    return Measured(**json.loads(last))


def part(name: str, first: Path, second: Path) -> Measured:
    """Run one part of `comparison_parts`."""
    return run([sys.executable, "-m", "load_tests.comparison_parts", name, first, second], ROOT)


def peer(name: str, cache: Path, pairs: Path, labels: Path) -> Measured:
    """Run another tool in its environment, which is created if missing."""
    home = cache / name
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        uv = [sys.executable, "-m", "uv"]
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, home], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", python, *PEERS[name]]
        subprocess.run(install, check=True)
        (home / "complete").touch()
    folder = Path(__file__).parent / "peers"
    return run([python, folder / f"{name}_report.py", pairs, labels], folder)


def generate(folder: Path, rows: int, outputs: int = 1) -> tuple[Path, Path]:
    """Write pairs and their labels."""
    compacted, labels = folder / f"{rows}", folder / f"{rows}-labels.parquet"
    write_pairs(compacted, rows, labels=labels, outputs=outputs)
    return compacted, labels


def growth(folder: Path, rows: int, outputs: int = 1) -> Measured:
    """Measure the evidence with another number of pairs or outputs."""
    compacted, labels = generate(folder, rows, outputs)
    found = part("evidence", compacted, labels)
    shutil.rmtree(compacted)
    labels.unlink()
    return found


def write_lines(folder: Path, rows: int) -> None:
    """Write pair files as a worker does."""
    files = PairFiles(folder, "bench", FileLimits())
    spans = PairSpans(files, service="FraudDetector", version="1", worker="bench")
    for number in range(rows):
        spans.record(pair(number))
        while files.waiting > WAITING:
            time.sleep(0.001)
    spans.close()
    assert not files.dropped  # noqa: S101 - those that are dropped are not compacted


def goal(met: bool, words: str) -> str:
    return f"{words}: {'met' if met else 'MISSED'}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_comparison.py")
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--growth", type=int, nargs="*", default=[1_000_000], help="also of these")
    parser.add_argument("--lines", type=int, default=300_000, help="pairs that are compacted")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "bentoml-flags" / "peers",
        help="where the peers' environments are kept",
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-comparison-") as made:
        folder = Path(made)
        compacted, labels = generate(folder, options.pairs)
        scanned = part("scan", compacted, labels)
        print(f"scan of {options.pairs:,} pairs: {scanned}", flush=True)
        ours = part("evidence", compacted, labels)
        print(f"evidence on {options.pairs:,} pairs: {ours}", flush=True)
        counted = part("evidence", compacted, labels)
        print(f"evidence once more, with nothing new: {counted}", flush=True)
        peers = {}
        for name in () if options.without_peers else PEERS:
            peers[name] = peer(name, options.cache, compacted / "pairs", labels)
            print(f"{name}: {peers[name]}", flush=True)
        grown = {rows: growth(folder, rows) for rows in options.growth}
        for rows, found in grown.items():
            per_pair = (ours.processor / options.pairs) / (found.processor / rows)
            print(f"evidence on {rows:,} pairs: {found}")
            print(f"  {options.pairs:,} pairs take {per_pair:.2f}x of that per pair", flush=True)
        one, ten = (growth(folder, FEW, outputs) for outputs in (1, 10))
        print(f"evidence on {FEW} pairs of one output: {one}")
        print(f"evidence on {FEW} pairs of ten outputs: {ten}", flush=True)
        write_lines(folder / "lines", options.lines)
        written = part("compact", folder / "lines", folder / "into")
    rate = written.figures / written.processor
    scans, outputs = ours.seconds / scanned.seconds, ten.processor / one.processor
    many = grown.get(MANY)
    faster = {name: each.seconds / ours.seconds for name, each in peers.items()}
    print(f"compacting: {rate:,.0f} pairs per processor-second, {written.megabytes:.0f} MB")
    print(goal(scans <= TIMES_SCAN, f"goal: at most {TIMES_SCAN:g} times the scan"))
    print(goal(ours.megabytes <= MEGABYTES, f"goal: at most {MEGABYTES:.0f} MB"))
    met = counted.processor <= COUNTED
    print(goal(met, f"goal: a look at counted pairs at most {COUNTED:g} processor-s"))
    print(goal(outputs <= TIMES_ONE, f"goal: ten outputs at most {TIMES_ONE:g} times one"))
    large, evidently = "-", "-"
    if many:
        large = f"{many.megabytes:.0f}"
        met = many.megabytes <= MANY_MEGABYTES
        print(goal(met, f"goal: {size(MANY)} pairs in at most {MANY_MEGABYTES:.0f} MB"))
    for name, ratio in faster.items():
        print(f"{name} takes {ratio:.1f} times as long")
    if "evidently" in faster:
        evidently = f"{faster['evidently']:.1f}x"
        print(goal(faster["evidently"] >= FASTER, f"goal: at least {FASTER:.0f}x faster than it"))
    print(goal(rate >= QUICKER, f"goal: at least {QUICKER:,.0f} pairs compacted"))
    print(
        f"{size(options.pairs)} pairs first {ours.seconds:.1f} s {scans:.1f}x scan "
        f"{ours.megabytes:.0f} MB, counted {counted.processor:.1f} s, 10 outputs {outputs:.2f}x, "
        f"{size(MANY)} {large} MB, "
        f"evidently {evidently}, "
        f"compaction {rate:,.0f}/core-s"
    )


def size(pairs: int) -> str:
    """Return a number of pairs in words: 10M."""
    return f"{pairs / 1e6:g}M"


if __name__ == "__main__":
    main()
