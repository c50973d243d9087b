"""The table of the gate's simulations, as text."""

from collections.abc import Callable, Iterable, Sequence

from load_tests.gate_simulations.scenario import Kind, Row

_HEAD = ("row", "scenario", "kind", "nominal", "found", "95 % interval", "runs")


def table(rows: Iterable[Row]) -> str:
    """Return the table: a line per scenario, with a mark if its promise is broken."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def last_line(rows: Sequence[Row]) -> str:
    """Return the result in one line, for other programs."""
    rollback = [row for row in rows if row.scenario.kind is Kind.FALSE_ROLLBACK]
    worst = max(rollback, key=lambda row: row.found / (row.scenario.nominal or 1), default=None)
    advance = [row.found for row in rows if row.scenario.kind is Kind.FALSE_ADVANCE]
    price = [row.found for row in rows if row.scenario.kind is Kind.PRICE and row.scenario.nominal]
    return (
        f"simulations {len(rows)}: false rollback max {_share(worst.found if worst else None)} of "
        f"nominal {_share(worst.scenario.nominal if worst else None)}, false advance max "
        f"{_share(max(advance, default=None))}, price "
        f"{f'{max(price):.2f}x' if price else '-'} in pairs"
    )


def _cells(row: Row) -> tuple[str, ...]:
    scenario = row.scenario
    number = _number(scenario.kind)
    broken = "" if row.holds else " !"
    return (
        scenario.row,
        scenario.name,
        str(scenario.kind),
        number(scenario.nominal),
        number(row.found) + broken,
        f"{number(row.low)} to {number(row.high)}",
        f"{row.runs:,}",
    )


def _number(kind: Kind) -> Callable[[float | None], str]:
    return {Kind.DELAY: _hours, Kind.PRICE: _times}.get(kind, _share)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} h"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"
