"""Train a logistic regression and a LightGBM model to tell three wines apart."""

import bentoml
from lightgbm import LGBMClassifier
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COLUMNS = ["alcohol", "color_intensity"]


def main() -> None:
    """Store both models; a quarter of the wines is left to be asked about."""
    data = load_wine(as_frame=True)
    names = data.target.map(dict(enumerate(["barolo", "grignolino", "barbera"])))
    inputs, _, wines, _ = train_test_split(data.data[COLUMNS].to_numpy(), names, random_state=0)
    v1 = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, wines)
    v2 = LGBMClassifier(n_estimators=30, min_child_samples=5, verbose=-1).fit(inputs, wines)
    bentoml.sklearn.save_model("wines-v1", v1)
    bentoml.sklearn.save_model("wines-v2", v2)  # with its names of classes


if __name__ == "__main__":
    main()
