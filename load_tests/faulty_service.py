"""Serve two cheap models that misbehave when a control file tells them to.

`FAULTS_FOLDER` holds the control file, `told.json`: `{"candidate": "raise"}`; and `processes`, a
file for each process that has loaded a model, named after side and process id.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import bentoml
from pydantic import BaseModel

from flags import migrate
from load_tests.verdict import FLAG, WORK, candidate_score, primary_score
from tests.support.services.placed import placed

FOLDER: Final = Path(os.environ.get("FAULTS_FOLDER", "."))
TOLD: Final = FOLDER / "told.json"
PROCESSES: Final = FOLDER / "processes"

LEAK: Final = 4 * 2**20
"""Bytes that a verdict leaves behind when told to leak."""

leaked: list[bytes] = []

CONDUCTS: Final[dict[str, Callable[[], object]]] = {
    "signal group": lambda: os.kill(0, signal.SIGTERM),
    "kill group": lambda: os.kill(0, signal.SIGKILL),
    "stop itself": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "close handles": lambda: os.closerange(0, 1024),
    "kill parent": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "run programs": lambda: subprocess.Popen(["sleep", "600"]),
    "flood": lambda: sys.stdout.write("x" * 2**16 + "\n"),
}
"""What a candidate may do to its process; of most, a wrong signal would reach the worker."""


class Verdict(BaseModel):
    score: float
    by: str


def told(side: str) -> str | None:
    """Return what `side` is told to do at present."""
    try:
        word: str | None = json.loads(TOLD.read_bytes()).get(side)
    except FileNotFoundError:
        return None
    return word


def loaded(side: str) -> None:
    """Leave the process id where the faults find it; fail if told to."""
    PROCESSES.mkdir(parents=True, exist_ok=True)
    (PROCESSES / f"{side}-{os.getpid()}").touch()
    if told(side) == "unloadable":
        raise RuntimeError("the model's file is broken")


def verdict(side: str, score: float) -> Any:
    """Return the verdict, or what `side` is told to come up with instead."""
    word = told(side)
    time.sleep(10 * WORK if word == "slow" else WORK)
    if word == "raise":
        raise RuntimeError("the model raises")
    if word == "exit":
        os._exit(3)
    if word == "segfault":
        ctypes.string_at(0)
    if word == "leak":
        leaked.append(b"\xff" * LEAK)
    if word in CONDUCTS:
        CONDUCTS[word]()
    while word == "hang" and told(side) == "hang":
        time.sleep(0.05)
    if word == "wrong schema":
        return {"unexpected": True}
    return Verdict(score=float("nan") if word == "nan" else score, by=side)


@bentoml.service(traffic={"timeout": 30})
class VerdictsV1:
    def __init__(self) -> None:
        loaded("primary")

    @bentoml.api
    def judge(self, amount: float) -> Verdict:
        answer: Verdict = verdict("primary", primary_score(amount))
        return answer


@bentoml.service(traffic={"timeout": 30})
class VerdictsV2:
    def __init__(self) -> None:
        loaded("candidate")

    @bentoml.api
    def judge(self, amount: float) -> Verdict:
        answer: Verdict = verdict("candidate", candidate_score(amount))
        return answer


@bentoml.service(traffic={"timeout": 30})
class VerdictsV3(VerdictsV2.inner):  # type: ignore[name-defined,misc]
    """Another version of the candidate, with the same schema."""


@bentoml.service(traffic={"timeout": 30})
class VerdictsOther:
    """A candidate with another schema."""

    @bentoml.api
    def judge(self, amount: str, currency: str) -> Verdict:  # noqa: ARG002 - never called
        return Verdict(score=0.0, by=currency)


Verdicts = migrate(
    primary=VerdictsV1,
    flag=FLAG,
    score="score",
    threshold=0.5,
    **placed(VerdictsV2, "embedded"),
    workers=int(os.environ.get("API_WORKERS", "2")),
    name="Verdicts",
)
