"""Provide the production days as traffic that shows in seconds what days would show."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from service.replay import bodies
from service.simulator import simulate
from service.training import Trained, feature_rows, production, read, save, train

KEPT: Final = 0.1
"""Share of the transactions that neither model alarms on, and that are no fraud, that is sent."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Hold what is sent, over and over in the same order, and what it turned out to be."""

    requests: tuple[dict[str, Any], ...]
    fraud: tuple[bool, ...]
    source: str
    trained: Trained

    def body(self, number: int) -> dict[str, Any]:
        """Return the request of a number."""
        return self.requests[number % len(self.requests)]

    def labels(self, count: int) -> Iterator[tuple[str, int]]:
        """Yield request id and label of the first `count` requests."""
        for number in range(count):
            yield f"request-{number}", int(self.fraud[number % len(self.fraud)])


def prepare(table: Path | None) -> Traffic:
    """Train both models, put them into the model store, and choose what is sent.

    Ratios of alarm rates are those of all transactions: where both sides are silent a pair says
    nothing about them, and of these one in ten is sent.
    """
    source = table.name if table else "simulated, seed 0"
    transactions = read(table) if table else simulate(seed=0)
    trained = train(transactions)
    save(trained, source)
    chosen = thinned(production(transactions), trained)
    fraud = tuple(map(bool, chosen["TX_FRAUD"]))
    return Traffic(tuple(bodies(chosen)), fraud, source, trained)


def thinned(transactions: pd.DataFrame, trained: Trained) -> pd.DataFrame:
    """Return all fraud, all that either model alarms on and a tenth of the rest, shuffled."""
    rows = feature_rows(transactions)
    telling = transactions["TX_FRAUD"].to_numpy(bool)
    for side in (trained.v1, trained.v2):
        telling = telling | (side.classifier.predict_proba(rows)[:, 1] >= trained.threshold)
    chance = np.random.default_rng(0).random(len(transactions))
    return transactions[telling | (chance < KEPT)].sample(frac=1, random_state=0)
