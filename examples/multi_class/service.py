"""Replace a model of ten classes: which digit it is, and the three likeliest ones."""

from typing import Any

import bentoml
from bentoml.models import BentoModel

from flags import Category, migrate


@bentoml.service
class DigitsV1:
    """Read a digit of 8 by 8 pixels."""

    stored = BentoModel("digits-v1:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def read(self, pixels: list[float]) -> dict[str, Any]:
        """Return the digit, and how likely each is."""
        odds = dict(zip("0123456789", self.model.predict_proba([pixels])[0].tolist(), strict=True))
        return {"digit": max(odds, key=lambda digit: odds[digit]), "odds": odds}


@bentoml.service
class DigitsV2(DigitsV1.inner):
    """The same, but for the model."""

    stored = BentoModel("digits-v2:latest")


score = Category("digit", probabilities="odds")
Digits = migrate(DigitsV1, DigitsV2, flag="digits-v2", score=score, placement="embedded")
