"""Train two recommenders on what 400 simulated customers bought: by popularity, and by taste."""

import bentoml
import numpy as np
import numpy.typing as npt
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

CUSTOMERS, ARTICLES = 500, 40


def purchases() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return by customer and article what was bought before, and what later, as 0 and 1."""
    rng = np.random.default_rng(0)
    tastes = rng.normal(0, 1, (CUSTOMERS, 3)) @ rng.normal(0, 1, (3, ARTICLES))
    order = np.argsort(-(tastes + rng.normal(0, 1, tastes.shape)), axis=1)
    before, later = np.zeros((2, CUSTOMERS, ARTICLES), dtype=np.int64)
    for bought, places in ((before, slice(0, 12, 2)), (later, slice(1, 12, 2))):
        np.put_along_axis(bought, order[:, places], 1, axis=1)
    return before, later


def main() -> None:
    """Store both models; the last hundred customers are left to be asked about."""
    before, later = (bought[:400] for bought in purchases())
    bentoml.sklearn.save_model("shop-v1", DummyRegressor().fit(before, later))
    bentoml.sklearn.save_model("shop-v2", Ridge(10).fit(before, later))


if __name__ == "__main__":
    main()
