"""The fraud detector of the reference Bento, with a candidate that can be made to fail.

While the file in FAULT_FILE exists, the candidate raises on three transactions of ten. It decides
at V2_THRESHOLD if that is set, else at the threshold that is stored with it.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import bentoml
from bentoml.models import BentoModel

from flags import migrate
from service.app import decide, period
from service.model import V2, FraudModel
from service.runners import RESOURCES, TRAFFIC, FraudV1
from service.schema import FraudDecision, Transaction

FAULT: Final = Path(os.environ.get("FAULT_FILE", "/nowhere"))
FAILING: Final = 0.3
"""Share of transactions, by their cents, on which the faulty candidate raises."""


@bentoml.service(resources=RESOURCES, traffic=TRAFFIC)
class FrailV2:
    """Detect fraud with v2, or raise while the file FAULT_FILE exists."""

    stored = BentoModel(f"{V2}:latest")

    def __init__(self) -> None:
        stored = FraudModel.load(self.stored)
        own = os.environ.get("V2_THRESHOLD")
        self.model = stored if own is None else replace(stored, threshold=float(own))

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> FraudDecision:
        """Decide on one card transaction."""
        if FAULT.exists() and transaction.tx_amount % 1 < FAILING:
            raise RuntimeError("a feature is missing")
        return self.model.decide(transaction)


FraudDetector = migrate(
    primary=FraudV1,
    candidate=FrailV2,
    flag="fraud-detector-v2",
    score="fraud_probability",
    threshold="threshold",
    segments={"period": period},
    features=["tx_amount"],
    decide=decide,
    placement=os.environ.get("PLACEMENT", "embedded"),
    workers=2,
    name="FraudDetector",
)
