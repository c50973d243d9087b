"""Save two models as MLflow does, and import them into BentoML's model store."""

import tempfile

import bentoml
import mlflow.sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    """Store both models; the last quarter of the tumours is left to be asked about."""
    data = load_breast_cancer()
    inputs, _, malignant, _ = train_test_split(data.data, data.target == 0, shuffle=False)
    v1 = make_pipeline(StandardScaler(), LogisticRegression())
    v2 = HistGradientBoostingClassifier(random_state=0)
    options = {
        "pyfunc_predict_fn": "predict_proba",
        "serialization_format": "cloudpickle",  # the default needs another package, skops
        "pip_requirements": ["scikit-learn"],  # or MLflow looks for them, which takes a while
    }
    for name, model in (("referrals-v1", v1), ("referrals-v2", v2)):
        with tempfile.TemporaryDirectory() as folder:
            model.fit(inputs, malignant)
            mlflow.sklearn.save_model(model, f"{folder}/model", **options)
            bentoml.mlflow.import_model(name, f"{folder}/model")  # or models:/referrals/1


if __name__ == "__main__":
    main()
