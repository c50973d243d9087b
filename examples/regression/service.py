"""Replace a regression model: a number is compared, which no threshold makes an alarm of."""

import bentoml
from bentoml.models import BentoModel

from flags import Number, migrate


@bentoml.service
class ProgressionV1:
    """Predict how far diabetes will progress within a year."""

    stored = BentoModel("progression-v1:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def predict(self, age: float, bmi: float, pressure: float) -> float:
        """Return the progression, from 25 to 346."""
        return float(self.model.predict([[age, bmi, pressure]])[0])


@bentoml.service
class ProgressionV2(ProgressionV1.inner):
    """The same, but for the model."""

    stored = BentoModel("progression-v2:latest")


Progression = migrate(
    ProgressionV1,
    ProgressionV2,
    flag="progression-v2",
    score={"progression": Number(float)},  # the answer itself
    segments={"weight": lambda patient: "obese" if patient["bmi"] >= 30 else "other"},
    placement="embedded",
    name="Progression",
)
