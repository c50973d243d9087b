"""Replace a model of three classes: each is an output, and fires where it is the likeliest."""

import bentoml
from bentoml.models import BentoModel

from flags import migrate


@bentoml.service
class WinesV1:
    """Tell three wines apart."""

    stored = BentoModel("wines-v1:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def classify(self, alcohol: float, colour: float) -> dict[str, float]:
        """Return the probability of each wine; the likeliest is the answer."""
        probabilities = self.model.predict_proba([[alcohol, colour]])[0].tolist()
        return dict(zip(self.model.classes_.tolist(), probabilities, strict=True))


@bentoml.service
class WinesV2(WinesV1.inner):
    """The same, but for the model."""

    stored = BentoModel("wines-v2:latest")


Wines = migrate(
    WinesV1,
    WinesV2,
    flag="wines-v2",
    score={"barbera": "barbera", "barolo": "barolo", "grignolino": "grignolino"},
    threshold=lambda answer: max(answer.values()),
    placement="embedded",
)
