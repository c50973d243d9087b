"""Train a logistic regression and a random forest on 426 tumours, into BentoML's model store."""

import bentoml
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COLUMNS = ["mean radius", "mean texture", "mean concavity"]


def main() -> None:
    """Store both models; the last quarter of the tumours is left to be asked about."""
    data = load_breast_cancer(as_frame=True)
    inputs, _, malignant, _ = train_test_split(
        data.data[COLUMNS].to_numpy(), data.target == 0, shuffle=False
    )
    v1 = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, malignant)
    v2 = RandomForestClassifier(random_state=0).fit(inputs, malignant)
    bentoml.sklearn.save_model("tumours-v1", v1)
    bentoml.sklearn.save_model("tumours-v2", v2)


if __name__ == "__main__":
    main()
