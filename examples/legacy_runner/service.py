"""Replace a legacy runner by a service: BentoML has deprecated runners."""

import bentoml
import numpy as np

from flags import migrate

TriageRunner = bentoml.runner_service(bentoml.sklearn.get("triage-v1:latest").to_runner())


@bentoml.service
class TriageV1:
    """Answer by the runner."""

    runner = bentoml.depends(TriageRunner)

    @bentoml.api
    def triage(self, rows: np.ndarray) -> list[float]:
        """Return the probability that each tumour is malignant."""
        return self.runner.predict_proba(rows)[:, 1].tolist()


@bentoml.service
class TriageV2:
    """Answer by a model of its own."""

    stored = bentoml.models.BentoModel("triage-v2:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def triage(self, rows: np.ndarray) -> list[float]:
        """Return the probability that each tumour is malignant."""
        return self.model.predict_proba(rows)[:, 1].tolist()


reading = {"score": {"likeliest": max}, "threshold": 0.5}
Triage = migrate(TriageV1, TriageV2, flag="triage-v2", **reading, placement="embedded")
