"""Replace a recommender: the five articles that a customer is shown, and what they are."""

from typing import Any

import bentoml
import numpy as np
from bentoml.models import BentoModel

from flags import Ranking, migrate

KINDS = ("shoes", "hats", "bags", "belts")


@bentoml.service
class ShopV1:
    """Recommend articles that a customer has not bought."""

    stored = BentoModel("shop-v1:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.stored)

    @bentoml.api
    def recommend(self, bought: list[int]) -> dict[str, list[dict[str, Any]]]:
        """Return the best articles, best first."""
        history = np.isin(range(40), bought) * 1.0
        liked = self.model.predict([history])[0] - 9 * history
        return {"items": [{"id": i, "kind": KINDS[i % 4]} for i in np.argsort(-liked)[:5].tolist()]}


@bentoml.service
class ShopV2(ShopV1.inner):
    """The same, but for the model."""

    stored = BentoModel("shop-v2:latest")


score = Ranking("items", item="id", group="kind", top=5)
Shop = migrate(ShopV1, ShopV2, flag="shop-v2", score=score, placement="embedded")
