"""The service of the documents, with several workers, behind a flag that the environment names."""

import os

from examples.ten_lines.models import FraudV1, FraudV2
from flags import migrate

FraudDetector = migrate(
    primary=FraudV1,
    candidate=FraudV2,
    flag=os.environ.get("FLAG", "fraud-detector-v2"),
    score="fraud_probability",
    threshold=0.54,
    workers=int(os.environ.get("API_WORKERS", "1")),
)
