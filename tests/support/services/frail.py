"""Two models whose processes come to every bad end on request; `LOADING` says how they load."""

import asyncio
import ctypes
import gc
import os
import sys
import time
from pathlib import Path

import bentoml
from pydantic import BaseModel

from flags import migrate
from flags.serving.isolated import side

LEAK = 384 * 2**20
"""Bytes."""

if "LONG_LIFE" in os.environ:  # so that the end of each test's process is an incident of its own
    side._LONG_LIFE = float(os.environ["LONG_LIFE"])  # type: ignore[misc]


class Opinion(BaseModel):
    score: float
    pid: int
    frozen: int
    """Objects that are left out of garbage collection."""


class Frail:
    """A model; its process notes its start in a file, and misbehaves where it is told to."""

    def __init__(self, name: str) -> None:
        self.leaked: list[bytes] = []
        self.folder = Path(os.environ["STARTS"])
        with (self.folder / name).open("a") as starts:
            starts.write(f"{os.getpid()} {time.monotonic()}\n")

    def load(self, how: Path) -> None:
        while (told := how.read_text()) == "waits":
            time.sleep(0.05)
        if told == "fails":
            raise ValueError("this model cannot be loaded")
        if told == "exits":
            sys.exit("this model gives up")
        if told == "ends":
            os._exit(4)

    def end(self, conduct: str) -> None:
        if conduct == "exits":
            os._exit(3)
        if conduct == "crashes":
            ctypes.string_at(0)
        if conduct == "hangs":
            time.sleep(600)
        if conduct == "holds the lock":
            (self.folder / "held").touch()
            ctypes.PyDLL(None).sleep(600)  # a PyDLL keeps the interpreter's lock
        if conduct == "leaks":
            self.leaked.append(b"x" * LEAK)

    async def end_later(self, conduct: str) -> None:
        if conduct == "waits":
            await asyncio.sleep(600)
        while conduct == "ignores its cancellation":
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                continue
        self.end(conduct)


@bentoml.service(traffic={"timeout": 90})
class FrailV1:
    def __init__(self) -> None:
        self.model = Frail("primary")

    @bentoml.api
    def judge(self, amount: float, candidate: str = "") -> Opinion:
        return Opinion(score=amount / 2, pid=os.getpid(), frozen=gc.get_freeze_count())

    @bentoml.api
    async def judge_later(self, amount: float, candidate: str = "") -> Opinion:
        return Opinion(score=amount / 2, pid=os.getpid(), frozen=gc.get_freeze_count())


@bentoml.service(traffic={"timeout": 90})
class FrailV2:
    def __init__(self) -> None:
        self.model = Frail("candidate")
        self.model.load(Path(os.environ["LOADING"]))

    @bentoml.api
    def judge(self, amount: float, candidate: str = "") -> Opinion:
        self.model.end(candidate)
        return Opinion(score=amount, pid=os.getpid(), frozen=gc.get_freeze_count())

    @bentoml.api
    async def judge_later(self, amount: float, candidate: str = "") -> Opinion:
        await self.model.end_later(candidate)
        return Opinion(score=amount, pid=os.getpid(), frozen=gc.get_freeze_count())


FrailMigration = migrate(
    primary=FrailV1,
    candidate=FrailV2,
    flag="frail-v2",
    score="score",
    threshold=0.5,
    placement="isolated",
    name="FrailMigration",
)
