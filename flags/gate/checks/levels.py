"""The checks of an output of a kind: figures as means of values, by request, block and unit."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Generic, Protocol, TypeVar

from flags.gate.checks.units import INDEPENDENT, burst_words
from flags.gate.evidence import Evidence, UnitShare
from flags.gate.limit_check import LimitCheck
from flags.gate.sequences import MeanSequence
from flags.gate.sequences.scaled import ScaledSequence
from flags.gate.wording import Wording
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

_WAYS: Final = ("request", "block", "unit", "minute")

Shares = tuple[UnitShare, ...]


class Levelled(Protocol):
    """Hold the evidence on an output of a kind, with values by figure and way of counting."""

    @property
    def name(self) -> str:
        """Return the output."""

    @property
    def labelled(self) -> int:
        """Return how many pairs have a label that counts."""

    @property
    def units(self) -> int:
        """Return how many units the pairs name; 0: they are judged by request."""

    @property
    def levels(self) -> Mapping[str, Mapping[str, Shares]]:
        """Return the values."""

    @property
    def clusters(self) -> Mapping[str, float]:
        """Return the design effect of values within minutes, by figure."""


_Found = TypeVar("_Found", bound=Levelled)


def mean_of(lowest: float, unit: float = 1.0) -> Callable[[Shares], ScaledSequence]:
    """Return what bounds the mean of values within `lowest` to 1, in parts of a unit."""
    return lambda shares: ScaledSequence(MeanSequence(shares, lowest), unit)


def level_check(
    found: Levelled, name: str, figure: str, wording: Wording, lowest: float, unit: float = 1.0
) -> LimitCheck:
    """Return the check of a figure of an output, still without limits.

    It passes by requests and by units once per block, and fails by units once in all where they
    are counted so: then nothing is assumed of what the blocks of a unit have in common. Without
    units it does not fail where values come in bursts, nor unless minutes show it too: whoever
    sends the requests, a minute is one piece of evidence.
    """
    ways = found.levels.get(figure, {})
    by = {way: mean_of(lowest, unit)(ways.get(way, ())) for way in _WAYS}
    units = {way: sum(each.units for each in ways.get(way, ())) for way in _WAYS}
    bursts = 1.0 if found.units else found.clusters.get(figure, 1.0)
    return LimitCheck(
        name,
        by["request"],
        wording,
        units["request"],
        units["request"],
        output=found.name,
        by_unit=by["block"],
        units=units["block"] if found.units else 0,
        fails_by=by["unit"] if "unit" in ways else by["block"],
        confirmed_by=None if found.units or "minute" not in ways else by["minute"],
        obstacle=burst_words(bursts, "differences") if bursts > INDEPENDENT else "",
    )


def at_once(check: LimitCheck) -> LimitCheck:
    """Return the check of what must not wait: so soon, there are only few minutes."""
    return replace(check, confirmed_by=None)


class KindChecks(Generic[_Found]):
    """The checks of an output of a kind, and what all kinds ask of the playbook's step."""

    def __init__(self, found: _Found, evidence: Evidence, playbook: Playbook, step: Step) -> None:
        self._found, self._evidence, self._playbook = found, evidence, playbook
        self._step = step
        self._gate: Gate = playbook.gate_of(step, output=found.name)
        self._wanted = playbook.labels_wanted(step) > 0
        self._required = step.stage is not Stage.DEPRECATION

    @property
    def _labelled(self) -> bool:
        """Say whether labels show which side is right."""
        return bool(self._found.labelled and self._playbook.expects_labels)
