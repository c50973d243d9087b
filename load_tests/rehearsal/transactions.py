"""Provide the production days as traffic that shows in seconds what days would show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.replay import bodies
from service.simulator import simulate
from service.training import Trained, feature_rows, production, read, save, train

Scores = NDArray[np.float64]

KEPT: Final = 0.1
"""Share of the transactions that neither model alarms on, and that are not fraud, that is sent."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Hold what is sent, over and over in the same order, and what it turned out to be."""

    requests: tuple[dict[str, Any], ...]
    fraud: tuple[bool, ...]
    stopped: tuple[bool, ...]
    """Whether v1 alarms on it."""
    scores: tuple[float, ...]
    """Of v2."""
    source: str
    trained: Trained

    def body(self, number: int) -> dict[str, Any]:
        """Return the request of a number."""
        return self.requests[number % len(self.requests)]

    def is_fraud(self, number: int) -> bool:
        """Say whether the request of a number is fraud."""
        return self.fraud[number % len(self.fraud)]

    def is_stopped(self, number: int) -> bool:
        """Say whether v1 alarms on the request of a number."""
        return self.stopped[number % len(self.stopped)]

    def rarer(self, threshold: float, times: float) -> float:
        """Return the threshold at which v2 alarms `times` as often as at another one."""
        alarms = sorted(score for score in self.scores if score >= threshold)
        return alarms[round((1 - times) * len(alarms))]


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
    v1, v2 = scores(chosen, trained)
    return Traffic(
        requests=tuple(bodies(chosen)),
        fraud=tuple(map(bool, chosen["TX_FRAUD"])),
        stopped=tuple(map(bool, v1 >= trained.threshold)),
        scores=tuple(map(float, v2)),
        source=source,
        trained=trained,
    )


def scores(transactions: pd.DataFrame, trained: Trained) -> list[Scores]:
    """Return the scores of v1 and of v2."""
    rows = feature_rows(transactions)
    return [side.classifier.predict_proba(rows)[:, 1] for side in (trained.v1, trained.v2)]


def thinned(transactions: pd.DataFrame, trained: Trained) -> pd.DataFrame:
    """Return all fraud, all that either model alarms on and a tenth of the rest, shuffled."""
    telling = transactions["TX_FRAUD"].to_numpy(bool)
    for each in scores(transactions, trained):
        telling = telling | (each >= trained.threshold)
    chance = np.random.default_rng(0).random(len(transactions))
    return transactions[telling | (chance < KEPT)].sample(frac=1, random_state=0)
