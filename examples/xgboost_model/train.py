"""Train a scikit-learn model and an XGBoost model on the same 426 tumours."""

import bentoml
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier


def main() -> None:
    """Store both models; the last quarter of the tumours is left to be asked about."""
    data = load_breast_cancer()
    inputs, _, malignant, _ = train_test_split(data.data, data.target == 0, shuffle=False)
    v1 = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, malignant)
    v2 = XGBClassifier(n_estimators=50, max_depth=3).fit(inputs, malignant)
    bentoml.sklearn.save_model("screening-sklearn", v1)
    bentoml.xgboost.save_model("screening-xgboost", v2)


if __name__ == "__main__":
    main()
