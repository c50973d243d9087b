"""Pair files with an output of each kind, some of them not answered, with labels and outcomes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flags.export import attributes
from flags.pairing.kinds.text import Text
from flags.pairing.kinds.text_recorder import TextRecorder
from tests.support.gated_pairs import GatedPairs, write_gated_pairs
from tests.support.pair_files import OUTPUT, PairFile, Scored, failed

SIZE = 600
NAMES = np.array(["cat", "dog", "fox"])
WORDS = np.array(["yes", "no", "sorry", "maybe", "later"])
TEXTS = TextRecorder("answer", Text("answer", refusal="sorry", formats={"short": "^.{0,20}$"}))


def write_kind_pairs(folder: Path) -> GatedPairs:
    """Write pairs of units, with retries, failures, missing answers and NaN; and what became."""
    found = write_gated_pairs(folder, 600)
    rng = np.random.default_rng(5)
    file = PairFile(found.folder, "worker-3")
    file.start()
    for number in range(SIZE):
        sides = [_side(rng, number, side) for side in ("primary", "candidate")]
        again = number % 50 == 49  # a retry has the id of the request before
        file.pair(
            *(each for each, _told in sides),
            active="candidate" if number % 10 == 5 else "primary",
            segments={"channel": str(rng.choice(["web", "app"]))} if number % 9 else {},
            features={"amount": float(rng.exponential(10)) if number % 17 else None},
            changes={
                attributes.UNIT: f"{number % 90:016x}",
                **({attributes.REQUEST_ID: f"worker-3-request-{number}"} if again else {}),
                **{key: value for _scored, told in sides for key, value in told.items()},
            },
        )
    file.stop()
    _labels(rng).to_csv(folder / "labels.csv", index=False)
    _outcomes(rng).to_csv(folder / "outcomes.csv", index=False)
    return GatedPairs(found.folder, found.playbook, found.end + timedelta(seconds=10 * SIZE / 100))


def _side(rng: np.random.Generator, number: int, side: str) -> tuple[Scored, dict[str, Any]]:
    if number % 40 == (7 if side == "primary" else 11):
        return failed("timeout", "TimeoutError"), {}
    price = float("nan") if number % 60 == 3 else 100 + number % 13 + float(rng.normal(0, 5))
    told: dict[str, Any] = {attributes.side(side, attributes.SCORE, "price"): price}
    if number % 20:
        ids = rng.permutation(12)[: rng.integers(1, 9)]
        told |= {
            attributes.side(side, "class", "species"): str(rng.choice(NAMES)),
            attributes.side(side, "top", "species"): "|cat|dog|",
            attributes.side(side, "ranking", "items"): "|" + "".join(f"i{n}|" for n in ids),
            attributes.side(side, "groups", "items"): "|shoes||hats||shoes|",
        }
    if number % 25:
        words = " ".join(rng.choice(WORDS, rng.integers(0, 6)))
        texts = TEXTS.values(words if side == "primary" else words.upper())
        told |= {attributes.side(side, what, "answer"): each for what, each in texts.items()}
    scored = {OUTPUT: float(rng.uniform())}
    version = "fraud:1" if side == "primary" else "fraud:2"
    return Scored(scored, model=version, duration=float(rng.exponential(0.004))), told


def _labels(rng: np.random.Generator) -> pd.DataFrame:
    def grades() -> str:
        return "|".join(f"i{n}={g}" for n, g in enumerate(rng.integers(0, 3, 12)) if g)

    ids = [n for n in range(1, SIZE + 1) if n % 10]
    return pd.DataFrame(
        {
            "request_id": [f"worker-3-request-{n}" for n in ids],
            f"label.{OUTPUT}": [int(n % 4 == 0) for n in ids],
            "label.price": [f"{100 + n % 13 + rng.normal(0, 4):.3f}" for n in ids],
            "label.species": [str(rng.choice([*NAMES, "owl"])) for _ in ids],
            "label.items": [grades() for _ in ids],
        }
    )


def _outcomes(rng: np.random.Generator) -> pd.DataFrame:
    ids = [n for n in range(1, SIZE + 1) if n % 3 == 0]
    events = pd.DataFrame(
        {
            "request_id": [f"worker-3-request-{n}" for n in ids],
            "metric": [str(rng.choice(["chargeback", "complaint"])) for _ in ids],
            "value": [1.0 for _ in ids],
        }
    )
    amounts = pd.DataFrame(
        {
            "request_id": [f"worker-3-request-{n}" for n in 3 * ids],
            "metric": "amount",
            "value": rng.integers(1, 100, 3 * len(ids)) / 10,  # of which three add up to an edge
        }
    )
    return pd.concat([events, amounts])
