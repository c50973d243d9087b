"""Train a linear model and gradient boosting on the progression of diabetes in 331 patients."""

import bentoml
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

COLUMNS = ["age", "bmi", "bp"]


def main() -> None:
    """Store both models; the last quarter of the patients is left to be asked about."""
    data = load_diabetes(as_frame=True, scaled=False)
    inputs, _, progression, _ = train_test_split(
        data.data[COLUMNS].to_numpy(), data.target, shuffle=False
    )
    v2 = GradientBoostingRegressor(n_estimators=50, max_depth=2, random_state=0)
    bentoml.sklearn.save_model("progression-v1", LinearRegression().fit(inputs, progression))
    bentoml.sklearn.save_model("progression-v2", v2.fit(inputs, progression))


if __name__ == "__main__":
    main()
