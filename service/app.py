"""The reference service: v1 and v2 of the fraud detector; the flag decides which one answers."""

import os
from collections.abc import Mapping

from flags import Remote, migrate
from service.runners import FraudV1, FraudV2
from service.schema import FraudDecision, Transaction


def period(transaction: Transaction) -> str:
    """Return the segment of a transaction, because fraud is different at night."""
    return "night" if transaction.tx_during_night else "day"


def decide(decision: FraudDecision, thresholds: Mapping[str, float]) -> FraudDecision:
    """Return v2's decision at the threshold in the flag's payload."""
    threshold = thresholds["fraud_probability"]
    alarm = decision.fraud_probability >= threshold
    return decision.model_copy(update={"alarm": alarm, "threshold": threshold})


PLACEMENT = os.environ.get("PLACEMENT", "embedded")
IS_REMOTE = PLACEMENT == "remote"
"""Whether v2 is a deployment of its own, at CANDIDATE_URL."""
IS_BATCHED = os.environ.get("SHADOW_BATCH") == "1"
"""Whether v2's shadows are scored in batches; not possible with a remote v2."""

FraudDetector = migrate(
    primary=FraudV1,
    candidate=Remote("http://fraud-v2:3000", name="FraudV2") if IS_REMOTE else FraudV2,
    flag="fraud-detector-v2",
    score="fraud_probability",
    threshold="threshold",
    segments={"period": period},
    features=["tx_amount"],
    decide=decide,
    shadow_batch={"predict": "predict_many"} if IS_BATCHED else None,
    placement=None if IS_REMOTE else PLACEMENT,
    workers=int(os.environ.get("API_WORKERS", "1")),
    name="FraudDetector",
    max_request_bytes=64 * 1024,
)
