"""Replace a scikit-learn model by an XGBoost one: two libraries, one API."""

from typing import Annotated

import bentoml
import numpy as np
from bentoml.models import BentoModel
from bentoml.validators import Shape

from flags import migrate


@bentoml.service
class ScreeningV1:
    """Screen tumours by thirty measurements."""

    stored = BentoModel("screening-sklearn:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def screen(self, cells: Annotated[np.ndarray, Shape((30,))]) -> dict[str, float]:
        """Return the probability that a tumour is malignant."""
        return {"malignant": float(self.model.predict_proba(cells[np.newaxis])[0, 1])}


@bentoml.service
class ScreeningV2(ScreeningV1.inner):
    """The same API, with another library behind it."""

    stored = BentoModel("screening-xgboost:latest")

    def __init__(self) -> None:
        self.model = bentoml.xgboost.load_model(self.stored)


reading = {"score": "malignant", "threshold": 0.5}
Screening = migrate(ScreeningV1, ScreeningV2, flag="screening-v2", **reading, placement="isolated")
