"""Measure the cost of shadows of an expensive candidate: 50 ms a request, 60 ms a batch of 32.

Requests come at a steady rate, and the candidate records how long it was busy. For comparison, the
same with every shadow in a call of its own, which is too much for a candidate with one thread.

    python load_tests/bench_dear_candidate.py
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from flags.unleash.flags_file import write_flags_file  # noqa: E402 - needs the line above
from load_tests.bench_overhead import observed  # noqa: E402
from load_tests.dear_candidate import SINGLE  # noqa: E402
from load_tests.load import Load, System, quantile  # noqa: E402
from service.serving import Serving  # noqa: E402

SETTLES: Final = 3.0


def measure(folder: Path, share: str, *, rate: float, seconds: float) -> tuple[float, float, str]:
    """Return the busy time per score in units of a single call, p50 in ms, and a text of counts."""
    folder.mkdir()
    write_flags_file(folder / "flags.json", "dear", 0)
    busy = folder / "busy"
    with Serving(
        "load_tests.dear_candidate:Pair",
        environment={
            "BENTOML_HOME": str(folder / "home"),
            "FLAGS_FILE": str(folder / "flags.json"),
            "PAIRS_DIR": str(folder / "pairs"),
            "BUSY": str(busy),
            "SHADOW_SINGLE": share,
        },
        log=folder / "log",
        folder=ROOT,
    ) as serving:
        load = Load([{"tx_amount": 5.0}], rate=rate, concurrency=8)
        system = System(serving.url, (serving.pid,))

        async def run() -> list[float]:
            found = await load.durations(system, seconds)
            await asyncio.sleep(SETTLES)
            return sorted(each for each in found if each is not None)

        durations = asyncio.run(run())
        scored = observed(serving)
    calls = [tuple(map(float, line.split())) for line in busy.read_text().splitlines()]
    sent = load.sent[serving.url]
    spent = sum(each for _, each in calls) / (scored * SINGLE)
    many = [inputs for inputs, _ in calls if inputs > 1]
    together = sum(many)
    said = f"{together / sent:.0%} in {len(many)} batches, {len(calls) - len(many)} singly"
    said = f"{scored / sent:.0%} of {sent} scored, {said}"
    return spent, quantile(durations, 0.5), said


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_dear_candidate.py")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["BENTOML_HOME"] = str(Path(temporary) / "bentoml")
        found = {
            name: measure(Path(temporary) / name, share, rate=options.rate, seconds=options.seconds)
            for name, share in (("batched", "0.05"), ("singly", "1"))
        }
    for name, (spent, p50, said) in found.items():
        print(f"{name:10}{spent:8.3f} bare candidates, answers p50 {p50:.1f} ms; {said}")
    print(f"dear candidate: a shadow takes {found['batched'][0]:.3f} of what an answer would")


if __name__ == "__main__":
    main()
