"""The candidate of the reference service as a deployment of its own, which may answer late."""

import os
import time
from typing import Final

import bentoml

from service.runners import FraudV2
from service.schema import FraudDecision, Transaction

SECONDS: Final = float(os.environ.get("CANDIDATE_TAKES", "0"))


@bentoml.service(name="FraudV2", traffic={"timeout": 3_600}, threads=64)
class LateV2(FraudV2.inner):  # type: ignore[misc]
    """The same model with delayed answers."""

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> FraudDecision:
        """Answer after a delay."""
        time.sleep(SECONDS)
        return self.model.decide(transaction)
