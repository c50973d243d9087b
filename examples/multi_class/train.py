"""Train a decision tree and a nearest-neighbour model to read 1,257 handwritten digits."""

import bentoml
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier


def main() -> None:
    """Store both models; 540 digits are left to be asked about."""
    images, _, digits, _ = train_test_split(
        *load_digits(return_X_y=True), test_size=0.3, random_state=0
    )
    v1 = DecisionTreeClassifier(max_depth=7, random_state=0).fit(images, digits)
    bentoml.sklearn.save_model("digits-v1", v1)
    bentoml.sklearn.save_model("digits-v2", KNeighborsClassifier(5).fit(images, digits))


if __name__ == "__main__":
    main()
