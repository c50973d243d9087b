"""Train a LightGBM model of 20 trees, and one of 200, on 426 tumours."""

import bentoml
import lightgbm
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split


def main() -> None:
    """Store both models; the last quarter of the tumours is left to be asked about."""
    data = load_breast_cancer()
    inputs, _, malignant, _ = train_test_split(data.data, data.target == 0, shuffle=False)
    for name, trees in (("biopsies-v1", 20), ("biopsies-v2", 200)):
        rows = lightgbm.Dataset(inputs, malignant)
        model = lightgbm.train({"objective": "binary", "verbosity": -1}, rows, trees)
        bentoml.lightgbm.save_model(name, model)


if __name__ == "__main__":
    main()
