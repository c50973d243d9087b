"""The words in which a check states its figure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flags.gate.number_format import Write, extra_digits, level


@dataclass(frozen=True, slots=True)
class Wording:
    """The template of a sentence: `what` has the field `{figure}`, `write` formats the numbers."""

    what: str
    write: Write
    unit: str = ""
    counted: str = "n"
    """The noun of n, e.g. `positives`."""
    wanted: str = "pairs"
    """The noun of what is needed in larger numbers."""
    extra: int = 0
    """Digits more than usual."""

    def with_digits(
        self, values: Iterable[float | None], limits: Iterable[float | None]
    ) -> "Wording":
        """Return the wording with enough digits to tell each value from each limit."""
        return replace(self, extra=extra_digits(self.write, values, limits))

    def number(self, value: float) -> str:
        """Return a number as text, without its unit."""
        return self.write(value, self.extra)

    def figure(self, value: float) -> str:
        """Return the beginning of the sentence, with the figure."""
        return self.what.format(figure=self.number(value) + self.unit)

    def interval(self, low: float, high: float, confidence: float, n: int) -> str:
        """Return the interval in words: `95 % CI 1.91 to 2.15, n=48,211`."""
        bounds = f"{self.number(low)} to {self.number(high)}"
        return f"{level(confidence)} CI {bounds}, {self.counted}={n:,}"
