"""Train gradient boosting on 426 tumours, each model with the libraries that will serve it.

Run as a script, it stores one model with the libraries of this interpreter.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def store(name: str, trees: int) -> None:
    """Train and store a model here."""
    import bentoml
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import GradientBoostingClassifier

    measured, kind = load_breast_cancer(return_X_y=True)
    model = GradientBoostingClassifier(n_estimators=trees, random_state=0)
    bentoml.sklearn.save_model(name, model.fit(measured[:426, :2], kind[:426] == 0))


def main() -> None:
    """Store the primary's model, and have the candidate's environment store its own."""
    from flags.serving.isolated.environment import OwnEnvironment

    store("masses-v1", trees=5)
    other = OwnEnvironment("", requirements=HERE / "candidate.txt")
    command = [str(other.interpreter()), __file__, "masses-v2"]
    subprocess.run(command, env=other.variables(os.environ), check=True)  # noqa: S603 - ours


if __name__ == "__main__":
    if sys.argv[1:]:
        store(sys.argv[1], trees=50)
    else:
        main()
