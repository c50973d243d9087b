"""Run all simulations of the gate and print their table: `make gate-simulations`.

`--runs 0.1` simulates a tenth of the runs, `--only B4` the scenarios whose row or name contains it.
The exit code is 1 if a result is significantly worse than promised.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from load_tests.gate_simulations.scenario import Row, Scenario, simulated
from load_tests.gate_simulations.table import last_line, table


def scenarios() -> Iterator[Scenario]:
    """Yield the scenarios of all modules of this package, in order of their rows."""
    found: list[Scenario] = []
    for module in iter_modules([str(Path(__file__).parent)]):
        if module.name != "__main__":
            found += getattr(import_module(f"{__package__}.{module.name}"), "SCENARIOS", ())
    yield from sorted(found, key=lambda each: (each.row[:1], int(each.row[1:] or 0), each.name))


def rows(only: str, share: float, processes: int) -> Iterator[Row]:
    """Simulate the chosen scenarios one after the other, and print progress."""
    with ProcessPoolExecutor(processes) as pool:
        for scenario in scenarios():
            if only not in f"{scenario.row} {scenario.name}":
                continue
            begun = time.monotonic()
            yield simulated(scenario, max(1, round(share * scenario.runs)), pool)
            seconds = time.monotonic() - begun
            print(f"{scenario.row} {scenario.name}: {seconds:.0f} s", file=sys.stderr, flush=True)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="part of a scenario's row or name")
    parser.add_argument("--runs", type=float, default=1.0, help="share of the runs")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    found = list(rows(given.only, given.runs, given.processes))
    print(table(found))
    print(last_line(found))
    return 0 if all(row.holds for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
