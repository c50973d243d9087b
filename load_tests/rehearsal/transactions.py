"""The traffic of the rehearsal: production days, thinned so that seconds show what days would."""

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

KEPT_SHARE: Final = 0.1
"""Share of the transactions without fraud and alarms that are kept; all others are kept."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests, which are sent repeatedly in the same order, with labels and decisions."""

    requests: tuple[dict[str, Any], ...]
    fraud: tuple[bool, ...]
    stopped: tuple[bool, ...]
    """Whether v1 raises an alarm."""
    scores: tuple[float, ...]
    """v2's scores."""
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
        """Return the threshold at which v2 raises `times` as many alarms as at `threshold`."""
        alarms = sorted(score for score in self.scores if score >= threshold)
        return alarms[round((1 - times) * len(alarms))]


def prepare(table: Path | None) -> Traffic:
    """Train both models, put them into the model store, and choose the requests.

    Ratios of alarm rates are the same as with all transactions, because only pairs without an alarm
    of either side, which do not affect them, are thinned.
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
    """Return all fraud, all alarms of either model, and a tenth of the rest, shuffled."""
    informative = transactions["TX_FRAUD"].to_numpy(bool)
    for each in scores(transactions, trained):
        informative = informative | (each >= trained.threshold)
    chance = np.random.default_rng(0).random(len(transactions))
    return transactions[informative | (chance < KEPT_SHARE)].sample(frac=1, random_state=0)
