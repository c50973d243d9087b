"""Replace a model of an MLflow registry by its next version; BentoML makes both services."""

import bentoml

from flags import migrate

ReferralsV1 = bentoml.mlflow.get_service("referrals-v1:latest", name="ReferralsV1")
ReferralsV2 = bentoml.mlflow.get_service("referrals-v2:latest", name="ReferralsV2")

Referrals = migrate(
    ReferralsV1,
    ReferralsV2,
    flag="referrals-v2",
    score={"malignant": "0.1"},  # first row, second class
    threshold=0.5,
    placement="embedded",
    name="Referrals",
)
