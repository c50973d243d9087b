"""Replace a logistic regression by a random forest, both from BentoML's model store."""

import bentoml
from bentoml.models import BentoModel

from flags import migrate


@bentoml.service
class TumoursV1:
    """Judge tumours by three of their measurements."""

    stored = BentoModel("tumours-v1:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def judge(self, radius: float, texture: float, concavity: float) -> dict[str, float]:
        """Return the probability that a tumour is malignant."""
        return {"malignant": float(self.model.predict_proba([[radius, texture, concavity]])[0, 1])}


@bentoml.service
class TumoursV2(TumoursV1.inner):
    """The same, but for the model."""

    stored = BentoModel("tumours-v2:latest")


Tumours = migrate(
    TumoursV1,
    TumoursV2,
    flag="tumours-v2",
    score="malignant",  # where the compared number is in an answer
    threshold=0.5,  # from which probability on somebody looks
    features=["radius"],
    name="Tumours",
)
