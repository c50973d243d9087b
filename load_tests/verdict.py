"""The answers of the models of `faulty_service` without a fault."""

from typing import Final

FLAG: Final = "verdicts-v2"

WORK: Final = 0.003
"""Seconds of a call."""


def primary_score(amount: float) -> float:
    return amount / 2


def candidate_score(amount: float) -> float:
    return amount
