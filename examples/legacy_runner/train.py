"""Train a model for a runner as BentoML had them until 1.1, and its successor."""

import bentoml
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    """Store both models; the last quarter of the tumours is left to be asked about."""
    data = load_breast_cancer()
    inputs, _, malignant, _ = train_test_split(data.data, data.target == 0, shuffle=False)
    v1 = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, malignant)
    v2 = RandomForestClassifier(random_state=0).fit(inputs, malignant)
    bentoml.sklearn.save_model(
        "triage-v1", v1, signatures={"predict_proba": {"batchable": True, "batch_dim": 0}}
    )
    bentoml.sklearn.save_model("triage-v2", v2)


if __name__ == "__main__":
    main()
