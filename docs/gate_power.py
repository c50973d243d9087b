"""Simulate how soon the gate sees what: `python docs/gate_power.py` writes the table and the chart.

A minute on one core. The counts of many runs are simulated together, and the wealth of
`flags.gate.sequences.betting` is computed for all of them and all looks at once.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flags.gate.error_rate import error_share
from flags.gate.sequences.betting import BETS, LOG_WEIGHTS
from flags.playbook.model import Playbook

PAGE: Final = Path(__file__).with_name("explanation") / "statistics.md"
CHART: Final = Path(__file__).with_name("images") / "gate-power.svg"

ALARM_RATE: Final = 0.005
_RUNS: Final = 1_000
_SEED: Final = 20_240_702
_GRID: Final = np.unique(np.geomspace(200, 2_000_000, 241).astype(int))
"""Pairs at which the gate looks."""

_BEGIN, _END = "<!-- power: written by docs/gate_power.py -->", "<!-- end of power -->"

Array = npt.NDArray[Any]


def wealth(counts: Array, rows: Sequence[tuple[float, float]], ratio: float) -> Array:
    """Return what `log_wealth` returns, for counts whose last axis is the rows (C, P)."""
    moves = np.array([c / ratio - p for c, p in rows])
    logs = counts @ np.log1p(np.outer(moves, BETS)) + np.array(LOG_WEIGHTS)
    largest = logs.max(axis=-1, keepdims=True)
    summed = np.exp(logs - largest).sum(axis=-1)
    return np.asarray(largest[..., 0] + np.log(summed))


RATIO_ROWS: Final = ((1, 1), (1, 0), (0, 1))
"""Of `both`, `candidate_only` and `primary_only`."""


def cells(ratio: float, overlap: float, rate: float = ALARM_RATE) -> tuple[float, float, float]:
    """Return the shares of `both`, `candidate_only`, `primary_only`.

    `overlap` is the share of the rarer side's alarms that the other side raises as well.
    """
    both = overlap * min(rate, ratio * rate)
    return both, ratio * rate - both, rate - both


def looks(shares: Sequence[float], at: Array, runs: int, random: np.random.Generator) -> Array:
    """Return running counts, shape (runs, looks, cells), of runs looked at after `at` pairs."""
    steps = np.diff(at, prepend=0)
    neither = 1 - sum(shares)
    drawn = random.multinomial(steps, [*shares, neither], size=(runs, len(at)))
    return np.asarray(drawn[..., : len(shares)].cumsum(axis=1))


def pairs_until(reached: Array, at: Array, probability: float) -> int | None:
    """Return the pairs after which `probability` of the runs have reached it once."""
    ever = np.maximum.accumulate(reached, axis=1).mean(axis=0)
    enough = np.flatnonzero(ever >= probability)
    return int(at[enough[0]]) if len(enough) else None


def called(counts: Array, limit: float, alpha: float) -> Array:
    """Say at which looks the ratio is surely above the limit."""
    return np.asarray(wealth(counts, RATIO_ROWS, limit) >= -np.log(alpha))


def passed(counts: Array, limit: float, alpha: float) -> Array:
    """Say at which looks the ratio is surely within 1/limit and limit."""
    swapped = counts[..., [0, 2, 1]]
    above = wealth(counts, RATIO_ROWS, 1 / limit) >= -np.log(alpha)
    below = wealth(swapped, RATIO_ROWS, 1 / limit) >= -np.log(alpha)
    return np.asarray(above & below)


def page_part() -> tuple[str, str]:
    """Return the tables for the page, and the chart."""
    playbook = Playbook(flag="any")
    advance, rollback = playbook.gate.advance.alarm_ratio, playbook.gate.rollback.alarm_ratio
    alpha = error_share(playbook.error_rate, "alarm_ratio") / 2
    random = np.random.default_rng(_SEED)
    failing = [
        "| alarms | overlap | seen above 1.10x, half of runs | 90 % | "
        "rolled back, half of runs | 90 % |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    curves: dict[float, Array] = {}
    for ratio in (1.5, 2.0, 3.7):
        for overlap in (0.5, 0.8, 0.95):
            counts = looks(cells(ratio, overlap), _GRID, _RUNS, random)
            seen = called(counts, advance, playbook.error_rate / 2)
            back = called(counts, rollback, alpha)
            figures = [_pairs(each, p) for each in (seen, back) for p in (0.5, 0.9)]
            failing.append(f"| {ratio:g}x | {overlap:.0%} | {' | '.join(figures)} |")
            if overlap == 0.8:
                curves[ratio] = np.maximum.accumulate(back, axis=1).mean(axis=0)
    passing = [
        "| alarm rate | overlap | passes, half of runs | 90 % |",
        "| ---: | --- | ---: | ---: |",
    ]
    for rate in (0.005, 0.05):
        for overlap in (0.8, 0.95):
            counts = looks(cells(1.0, overlap, rate), _GRID, _RUNS, random)
            done = passed(counts, advance, playbook.error_rate / 2)
            figures = [_pairs(done, p) for p in (0.5, 0.9)]
            passing.append(f"| {rate:.1%} | {overlap:.0%} | {' | '.join(figures)} |")
    text = "\n".join(
        [
            f"A candidate that alarms too often, at an alarm rate of {ALARM_RATE:.1%}: pairs until "
            "the gate knows,",
            f"with the default playbook, over {_RUNS:,} simulated runs.",
            "",
            *failing,
            "",
            "A candidate that alarms as often as the primary: pairs until the ratio is shown to be "
            "within 1.10x.",
            "",
            *passing,
        ]
    )
    return re.sub(r"(?<=\d)%", " %", text), _chart(curves)


def _pairs(reached: Array, probability: float) -> str:
    found = pairs_until(reached, _GRID, probability)
    if found is None:
        return f"over {_GRID[-1]:,}"
    size = 10 ** (len(str(found)) - 2)
    return f"{-(-found // size) * size:,}"


def _chart(curves: dict[float, Array]) -> str:
    """Draw the share of runs rolled back against the pairs, on a logarithmic axis."""
    left, right, top, bottom = 70, 620, 30, 280
    first, last = np.log10(_GRID[0]), np.log10(200_000)

    def x(pairs: float) -> float:
        return float(left + (right - left) * (np.log10(pairs) - first) / (last - first))

    def y(rate: float) -> float:
        return bottom - (bottom - top) * rate

    colours = {3.7: "#cf222e", 2.0: "#0969da", 1.5: "#57606a"}
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 340" '
        'font-family="system-ui, sans-serif" font-size="14" role="img" aria-label="Share of '
        "simulated migrations that were rolled back, by pairs, for alarm ratios of 1.5, 2 and "
        '3.7.">',
        '<rect width="720" height="340" fill="#ffffff"/>',
        '<g fill="#24292f">',
    ]
    parts += [
        f'<path d="M{left} {y(rate):.1f}H{right}" stroke="#d0d7de"/>'
        f'<text x="{left - 8}" y="{y(rate) + 5:.1f}" text-anchor="end">{rate:.0%}</text>'
        for rate in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts += [
        f'<path d="M{x(pairs):.1f} {bottom}v6" stroke="#57606a"/>'
        f'<text x="{x(pairs):.1f}" y="{bottom + 22}" text-anchor="middle">{pairs:,}</text>'
        for pairs in (200, 1_000, 5_000, 20_000, 100_000)
    ]
    parts.append(
        f'<text x="{(left + right) / 2}" y="{bottom + 46}" text-anchor="middle">pairs</text>'
    )
    parts.append(f'<text x="{left}" y="18">rolled back</text></g>')
    for ratio, curve in sorted(curves.items()):
        shown = [(p, r) for p, r in zip(_GRID, curve, strict=True) if p <= 200_000]
        line = " ".join(f"{x(p):.1f},{y(r):.1f}" for p, r in shown)
        half = next(p for p, r in shown if r >= 0.5)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colours[ratio]}" stroke-width="2.4"/>'
            f'<text x="{x(half) + 8:.1f}" y="{y(0.5) + 16:.1f}" fill="{colours[ratio]}" '
            f'font-weight="600">{ratio:g}x</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Put the tables into the page, and write the chart."""
    text, chart = page_part()
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
    CHART.write_text(chart, encoding="utf-8")


if __name__ == "__main__":
    main()
