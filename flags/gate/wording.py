"""The words of a figure that is held against limits."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flags.gate.number_format import Write, digits_apart, level


@dataclass(frozen=True, slots=True)
class Wording:
    """Say a figure in words: `what` holds `{figure}`; `write` writes figure, limit and bounds."""

    what: str
    write: Write
    unit: str = ""
    counted: str = "n"
    """What n counts, e.g. `positives`."""
    wanted: str = "pairs"
    """What more is needed of."""
    more: int = 0
    """Digits more than usual."""

    def apart(self, values: Iterable[float | None], limits: Iterable[float | None]) -> "Wording":
        """Return the wording with enough digits to show on which side of each limit a value is."""
        return replace(self, more=digits_apart(self.write, values, limits))

    def number(self, value: float) -> str:
        """Write a number without its unit."""
        return self.write(value, self.more)

    def figure(self, value: float) -> str:
        """Write the sentence's beginning."""
        return self.what.format(figure=self.number(value) + self.unit)

    def interval(self, low: float, high: float, confidence: float, n: int) -> str:
        """Write `95 % CI 1.91 to 2.15, n=48,211`."""
        bounds = f"{self.number(low)} to {self.number(high)}"
        return f"{level(confidence)} CI {bounds}, {self.counted}={n:,}"
