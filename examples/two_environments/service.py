"""Replace a model by one of another scikit-learn, which cannot be loaded here."""

from pathlib import Path

import bentoml
import sklearn
from bentoml.models import BentoModel

from flags import migrate


@bentoml.service
class MassesV1:
    """Judge tumours by two of their measurements."""

    stored = BentoModel("masses-v1:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def judge(self, radius: float, texture: float) -> dict[str, float | str]:
        """Return the probability that a tumour is malignant, and the library that says so."""
        probability = float(self.model.predict_proba([[radius, texture]])[0, 1])
        return {"malignant": probability, "sklearn": sklearn.__version__}


Masses = migrate(
    MassesV1,
    "examples.two_environments.candidate:MassesV2",
    candidate_requirements=Path(__file__).with_name("candidate.txt"),
    flag="masses-v2",
    score="malignant",
    threshold=0.5,
    name="Masses",
)
