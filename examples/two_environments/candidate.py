"""The candidate, which runs with the libraries of candidate.txt."""

import bentoml
import sklearn
from bentoml.models import BentoModel


@bentoml.service
class MassesV2:
    """Judge tumours by a model that another scikit-learn has trained."""

    stored = BentoModel("masses-v2:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def judge(self, radius: float, texture: float) -> dict[str, float | str]:
        """Return the probability that a tumour is malignant, and the library that says so."""
        probability = float(self.model.predict_proba([[radius, texture]])[0, 1])
        return {"malignant": probability, "sklearn": sklearn.__version__}
