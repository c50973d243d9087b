"""Run the simulations of outcomes and print their tables: `make outcome-simulations`.

`--runs 0.1` simulates a tenth of the runs. The exit code is 1 if a result is significantly worse
than promised.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import numpy as np

from load_tests.gate_simulations.scenario import Kind, Row, simulated
from load_tests.gate_simulations.table import table
from load_tests.outcome_simulations.errors import SCENARIOS
from load_tests.outcome_simulations.requests import CASES, MOST, TESTS, Needed, needed

_RUNS = 100
_SEED = 20_260_302


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=float, default=1.0, help="share of the runs")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    begun = time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        rows = []
        for scenario in SCENARIOS:
            rows.append(simulated(scenario, max(1, round(given.runs * scenario.runs)), pool))
            print(f"{scenario.name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        runs = max(1, round(given.runs * _RUNS))
        seeds = np.random.SeedSequence(_SEED).spawn(len(CASES))
        prices = [
            pool.submit(needed, case, runs, np.random.default_rng(seed))
            for case, seed in zip(CASES, seeds, strict=True)
        ]
        found = [price.result() for price in prices]
    print(table(rows))
    print()
    print("\n".join(price_table(found)))
    print(last_line(rows, found))
    return 0 if all(row.holds for row in rows) else 1


def price_table(found: Iterable[Needed]) -> list[str]:
    """Return the lines of the table: requests after which 80 % of the runs have found the harm."""
    head = ["requests until 80 % of runs see the harm", "plain, one look", *TESTS, "flips take"]
    lines = [head]
    for each in found:
        numbers = [_number(each.requests[name]) for name in head[1:-1]]
        lines.append([each.case.name, *numbers, f"1/{gain(each):.1f} of plain"])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _number(requests: float) -> str:
    return f"{requests:,.0f}" if math.isfinite(requests) else f"over {MOST:,}"


def gain(found: Needed) -> float:
    """Return the factor of requests that a difference of means needs with as many looks.

    By GrowthBook's sequence, or by bets on all units if those need fewer requests.
    """
    plain = min(found.requests["GrowthBook"], found.requests["all units"], MOST)
    return plain / found.requests["flips"]


def last_line(rows: Sequence[Row], found: Sequence[Needed]) -> str:
    """Return the result in one line."""
    rollback = [row for row in rows if row.scenario.kind is Kind.FALSE_ROLLBACK]
    advance = [row for row in rows if row.scenario.kind is Kind.FALSE_ADVANCE]
    worst = max(rollback, key=lambda row: row.found)
    return (
        f"outcomes {len(rows)}: false rollback max {worst.found:.4f} of nominal "
        f"{worst.scenario.nominal:.4f}, false advance max {max(row.found for row in advance):.4f}, "
        f"requests {median(gain(each) for each in found):.1f}x fewer than plain"
    )


if __name__ == "__main__":
    sys.exit(main())
