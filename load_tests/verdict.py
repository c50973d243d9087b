"""Say what the models of the faults' service answer when nothing is wrong with them."""

from typing import Final

FLAG: Final = "verdicts-v2"

WORK: Final = 0.003
"""Seconds that a verdict takes."""


def primary_score(amount: float) -> float:
    return amount / 2


def candidate_score(amount: float) -> float:
    return amount
