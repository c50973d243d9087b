"""Checks of figures that are means of bounded values, counted by request, block, unit and minute.

The values of a figure are its levels: by way of counting, how many requests, units or minutes have
which value.
"""

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
    """The part of the evidence on an output that the checks of its levels need."""

    @property
    def name(self) -> str:
        """Return the name of the output."""

    @property
    def labelled(self) -> int:
        """Return how many pairs have a label that counts."""

    @property
    def units(self) -> int:
        """Return how many units the pairs name; 0: each request is a unit."""

    @property
    def levels(self) -> Mapping[str, Mapping[str, Shares]]:
        """Return the values by figure and way of counting."""

    @property
    def clusters(self) -> Mapping[str, float]:
        """Return the design effect of values within a minute, by figure."""


_Answer = TypeVar("_Answer", bound=Levelled)


def mean_of(lowest: float, unit: float = 1.0) -> Callable[[Shares], ScaledSequence]:
    """Return a function that makes the sequence of the mean of values.

    Values lie from `lowest` to 1; the mean is multiplied by `unit`.
    """
    return lambda shares: ScaledSequence(MeanSequence(shares, lowest), unit)


def level_check(
    answer: Levelled, name: str, figure: str, wording: Wording, lowest: float, unit: float = 1.0
) -> LimitCheck:
    """Return the check of a figure of an output, still without limits.

    PASS needs the figure by request and by unit and block. FAIL needs the figure by unit, each unit
    once in the window, if it is counted: then the blocks of a unit may depend on each other. If no
    pair names a unit, it does not fail if values come in bursts, and else needs the figure by
    minute too: a minute is one piece of evidence, however many units its requests have.
    """
    ways = answer.levels.get(figure, {})
    by = {way: mean_of(lowest, unit)(ways.get(way, ())) for way in _WAYS}
    units = {way: sum(each.units for each in ways.get(way, ())) for way in _WAYS}
    bursts = 1.0 if answer.units else answer.clusters.get(figure, 1.0)
    return LimitCheck(
        name,
        by["request"],
        wording,
        units["request"],
        units["request"],
        output=answer.name,
        by_unit=by["block"],
        units=units["block"] if answer.units else 0,
        fails_by=by["unit"] if "unit" in ways else by["block"],
        confirmed_by=None if answer.units or "minute" not in ways else by["minute"],
        obstacle=burst_words(bursts, "differences") if bursts > INDEPENDENT else "",
    )


def at_once(check: LimitCheck) -> LimitCheck:
    """Return the check without confirmation by minute: early on, there are too few minutes."""
    return replace(check, confirmed_by=None)


class KindChecks(Generic[_Answer]):
    """Base class of the checks of one output, with the step's limits and requirements."""

    def __init__(self, answer: _Answer, evidence: Evidence, playbook: Playbook, step: Step) -> None:
        self._answer, self._evidence, self._playbook = answer, evidence, playbook
        self._step = step
        self._gate: Gate = playbook.gate_of(step, output=answer.name)
        self._wanted = playbook.labels_wanted(step) > 0
        self._required = step.stage is not Stage.DEPRECATION

    @property
    def _labelled(self) -> bool:
        """Say whether there are labels that may compare the sides."""
        return bool(self._answer.labelled and self._playbook.expects_labels)
