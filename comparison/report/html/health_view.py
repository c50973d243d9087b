"""The health of both sides, prepared for the page."""

from dataclasses import dataclass
from typing import Final

from comparison.report.html.charts.latency import latency
from comparison.report.html.charts.plot import Plot
from flags.gate.evidence import Count, Health
from flags.pairing.observation import Status

QUANTILES: Final = (0.5, 0.95, 0.99)
_SIDES: Final = ("primary", "candidate")


@dataclass(frozen=True, slots=True)
class StatusRow:
    """How often each side had a status."""

    name: str
    cells: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """A quantile of the durations of each side, in seconds; None without calls."""

    name: str
    primary: float | None
    candidate: float | None

    @property
    def ratio(self) -> float | None:
        """Return the candidate's duration divided by the primary's, None if one is not known."""
        if self.primary and self.candidate is not None:
            return self.candidate / self.primary
        return None


@dataclass(frozen=True, slots=True)
class HealthView:
    """The health with its chart and the rows of its tables."""

    health: Health
    statuses: tuple[StatusRow, ...]
    latency: Plot | None
    quantiles: tuple[LatencyRow, ...]

    @classmethod
    def of(cls, health: Health) -> "HealthView":
        """Build the view; statuses that neither side had are left out."""
        counts = [health.statuses.get(side, {}) for side in _SIDES]
        known = [status.value for status in Status]
        names = [*known, *sorted({name for side in counts for name in side} - set(known))]
        totals = [sum(side.values()) for side in counts]
        return cls(
            health=health,
            statuses=tuple(
                StatusRow(
                    name,
                    tuple(
                        Count(side.get(name, 0), total)
                        for side, total in zip(counts, totals, strict=True)
                    ),
                )
                for name in names
                if any(side.get(name) for side in counts)
            ),
            latency=latency("latency", health.durations),
            quantiles=tuple(
                LatencyRow(
                    f"p{100 * probability:g}",
                    *(
                        durations.quantile(probability) if durations else None
                        for durations in map(health.durations.get, _SIDES)
                    ),
                )
                for probability in QUANTILES
            ),
        )
