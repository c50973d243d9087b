"""A candidate for an environment of its own: nothing of this project is imported here."""

import os
import pickle
import time
from collections.abc import AsyncGenerator, Generator
from importlib.metadata import version
from pathlib import Path

import bentoml
import numpy as np
import pandas as pd
from bentoml.exceptions import InvalidArgument
from PIL import Image
from pydantic import BaseModel
from sklearn.ensemble import GradientBoostingClassifier

FOLDER = Path(os.environ.get("OTHER_LIBRARIES", "."))
"""Holds a trained model for each version of scikit-learn."""


def pickle_of(version_of_sklearn: str) -> Path:
    return FOLDER / f"{version_of_sklearn}.pkl"


def train() -> None:
    """Train a model with this interpreter's scikit-learn, and pickle it."""
    amounts = np.arange(100.0).reshape(-1, 1)
    model = GradientBoostingClassifier(n_estimators=5, random_state=0)
    model.fit(amounts, amounts[:, 0] > 50)
    pickle_of(version("scikit-learn")).write_bytes(pickle.dumps(model))


class Claim(BaseModel):
    amount: float
    tags: list[str] = []


class Opinion(BaseModel):
    score: float
    libraries: dict[str, str]
    pid: int


class Token(BaseModel):
    text: str


class Judging:
    """The APIs of both sides, with whatever libraries they find."""

    def __init__(self) -> None:
        stored = pickle_of(version("scikit-learn")).read_bytes()
        self.model = pickle.loads(stored)  # noqa: S301 - our own

    @bentoml.api
    def judge(self, claim: Claim, /) -> Opinion:
        probability = self.model.predict_proba([[claim.amount]])[0][1]
        libraries = {name: version(name) for name in ("scikit-learn", "numpy", "pydantic")}
        return Opinion(score=probability, libraries=libraries, pid=os.getpid())

    @bentoml.api
    def scale(self, vector: np.ndarray) -> np.ndarray:
        return vector / 3

    @bentoml.api
    def annotate(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(twice=rows["amount"] * 2)

    @bentoml.api
    def invert(self, image: Image.Image) -> Image.Image:
        return image.point(lambda value: 255 - value)

    @bentoml.api
    def reverse(self, upload: Path) -> bytes:
        return upload.read_bytes()[::-1]

    @bentoml.api
    async def tokens(self, words: list[str]) -> AsyncGenerator[Token, None]:
        for word in words:
            yield Token(text=f"{word} {np.__version__}")

    @bentoml.api
    def count(self, upto: int) -> Generator[str, None, None]:
        for number in range(upto):
            yield f"{number}\n"


@bentoml.service(traffic={"timeout": 60})
class OtherLibraries(Judging):
    """The candidate."""

    @bentoml.api
    def judge(self, claim: Claim, /) -> Opinion:
        if "refuses" in claim.tags:
            raise InvalidArgument("the candidate does not like this")
        if "ends" in claim.tags:
            os._exit(3)
        if "hangs" in claim.tags:
            time.sleep(600)
        probability = self.model.predict_proba([[claim.amount]])[0][1]
        libraries = {name: version(name) for name in ("scikit-learn", "numpy", "pydantic")}
        return Opinion(score=probability, libraries=libraries, pid=os.getpid())
