"""A service of two fast models that show faults which a control file names.

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
"""Bytes that a call leaks with the fault `leak`."""

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
"""Things that a candidate may do to its process; most would send a signal to the worker."""


class Verdict(BaseModel):
    score: float
    by: str


def current_fault(side: str) -> str | None:
    """Return the fault that `side` shows at present."""
    try:
        word: str | None = json.loads(TOLD.read_bytes()).get(side)
    except FileNotFoundError:
        return None
    return word


def loaded(side: str) -> None:
    """Write the process id for the injections; fail with the fault `unloadable`."""
    PROCESSES.mkdir(parents=True, exist_ok=True)
    (PROCESSES / f"{side}-{os.getpid()}").touch()
    if current_fault(side) == "unloadable":
        raise RuntimeError("the model's file is broken")


def verdict(side: str, score: float) -> Any:
    """Return the verdict, or show the current fault of `side`."""
    word = current_fault(side)
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
    while word == "hang" and current_fault(side) == "hang":
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
