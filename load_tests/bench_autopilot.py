"""Measure the cost of an autopilot's looks in two weeks, relative to one count of all their pairs.

Generated pairs of two weeks are compacted once an hour, and an autopilot looks every five minutes:
twelve looks an hour. The first look is just after the full hour, before `compact` has run, and
repeats all computations by the hour. The second look finds new pairs, the other ten find nothing.
Time is simulated: a look gets the time as an argument, and sees the runs of `compact` before it.
All looks run in one process, like the autopilot's, from the folder to the verdict. The flag is not
changed, and compaction is not measured.

`--samples` hours are measured, evenly spread; the hours between are interpolated. Before each
sample there is an unmeasured look five minutes earlier, which fills the autopilot's caches.

    python load_tests/bench_autopilot.py
    python load_tests/bench_autopilot.py --pairs 200000 --samples 3
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

import numpy as np  # noqa: E402 - needs the line above

from comparison.engines.kept.tables import KEPT  # noqa: E402 - needs the line above
from comparison.judgement.pairs_judge import PairsJudge  # noqa: E402
from comparison.pairs.compacted import PAIRS, STATE_FILE  # noqa: E402
from flags.operate.history import Run  # noqa: E402
from flags.operate.setting import Setting  # noqa: E402
from flags.playbook.model import Playbook  # noqa: E402
from load_tests.generated_pairs import BEGIN, FLAG, write_pairs, write_state  # noqa: E402

DAYS: Final = 14
HOURS: Final = 24 * DAYS
A_LOOK: Final = timedelta(minutes=5)
AN_HOUR: Final = timedelta(hours=1) // A_LOOK
"""Looks."""
TIMES: Final = 3.0
"""Goal: all looks together take at most this multiple of one full count."""

PLAN: Final = Playbook.model_validate(
    {
        "flag": FLAG,
        "steps": [
            {"stage": "shadow", "rollout": 0, "hold": "1h", "min_pairs": 10},
            {"stage": "canary", "rollout": 10, "hold": f"{DAYS}d", "min_pairs": 1000},
            {"stage": "ramp", "rollout": 100, "hold": "1h", "min_pairs": 10},
        ],
    }
)


COMPACTED: Final = timedelta(minutes=2)
"""Time after the end of an hour at which its pairs are compacted."""


@dataclass(frozen=True, slots=True)
class HourOfLooks:
    """Processor seconds of looks in an hour.

    Of the first look, just after the full hour; of the look that finds new pairs; of another one.
    """

    hour: int
    turn: float
    new: float
    same: float


def look(judge: PairsJudge, now: datetime) -> float:
    """Judge the pairs that exist at `now`; return the processor seconds."""
    setting = Setting(True, 10, "userId", ("a strategy",))
    run = Run(setting, BEGIN, None, "ada", by_token=False, how="created", event=1)
    began = time.process_time()
    found = judge(PLAN, run, now)
    took = time.process_time() - began
    if found.missing:
        raise SystemExit(f"no verdict: {found.missing}")
    return took


def compacted(folder: Path, hour: int) -> None:
    """Set the folder's state to that after the runs of `hour` hours."""
    write_state(folder, hour)
    at = (BEGIN + timedelta(hours=hour) + COMPACTED).timestamp()
    os.utime(folder / STATE_FILE, (at, at))


def measured(folder: Path, hour: int) -> HourOfLooks:
    """Measure the looks of an hour; hours are numbered from 1."""
    judge, now = PairsJudge(folder), BEGIN + timedelta(hours=hour)
    compacted(folder, hour - 1)
    look(judge, now - A_LOOK)
    turn = look(judge, now)
    compacted(folder, hour)
    new, *same = (look(judge, now + place * A_LOOK) for place in range(1, AN_HOUR))
    return HourOfLooks(hour, turn, new, sum(same) / len(same))


def full_count(folder: Path) -> float:
    """Return the processor seconds of one look at all pairs without any caches."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        copy = Path(temporary)
        for path in (folder / PAIRS).rglob("*.parquet"):
            linked = copy / path.relative_to(folder)
            linked.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, linked)
        compacted(copy, HOURS)
        return look(PairsJudge(copy), BEGIN + timedelta(days=DAYS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure; print a line per sample, and last the ratio of all looks to one count."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_autopilot.py")
    parser.add_argument("--pairs", type=int, default=20_000_000)
    parser.add_argument("--into", type=Path, help="where the pairs are, or are written, and stay")
    parser.add_argument("--samples", type=int, default=8, help="hours that are measured")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.into or Path(temporary) / "compacted"
        if not (folder / PAIRS).is_dir():
            write_pairs(folder, options.pairs, days=DAYS, runs_a_day=24)
        shutil.rmtree(folder / KEPT, ignore_errors=True)
        compacted(folder, 1)
        look(PairsJudge(folder), BEGIN + timedelta(hours=2))  # imports and per-process caches
        whole = full_count(folder)
        print(f"one count of {options.pairs:,} pairs: {whole:.1f} processor-s", flush=True)
        hours = sorted(set(np.linspace(2, HOURS, options.samples).astype(int).tolist()))
        samples = []
        for hour in hours:
            samples.append(measured(folder, hour))
            print(
                f"hour {hour:>3} of {HOURS}: {samples[-1].new:.2f} processor-s for a look at new "
                f"pairs, {samples[-1].turn:.3f} after an hour, {samples[-1].same:.3f} for another",
                flush=True,
            )
    every = range(1, HOURS + 1)
    new, turn, same = (
        float(np.interp(every, hours, [getattr(each, name) for each in samples]).sum())
        for name in ("new", "turn", "same")
    )
    total = new + turn + (AN_HOUR - 2) * same
    met = "met" if total <= TIMES * whole else "not met"
    print(f"goal: all looks at most {TIMES:.0f}x one count: {met}")
    print(
        f"{HOURS * AN_HOUR:,} looks at {options.pairs / 1e6:g}M pairs {total:,.0f} processor-s "
        f"(new {new:,.0f}, hours {turn:,.0f}, others {(AN_HOUR - 2) * same:,.0f}; {len(hours)} "
        f"hours measured), one count {whole:.1f} s, {total / whole:,.1f}x"
    )


if __name__ == "__main__":
    main()
