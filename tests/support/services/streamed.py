"""Two services whose answers are streams, images and files, and one service made of both."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import bentoml
import numpy as np
from bentoml.exceptions import InvalidArgument
from PIL import Image
from pydantic import BaseModel

from flags import Reading, migrate
from tests.support.services.placed import placed

GATES = Path(os.environ.get("GATES", "."))
"""A model that waits at a gate goes on once there is a file of its name here."""

WAITS_FOR = 60.0
"""Seconds after which a model at a gate gives up, so that a broken test ends."""


class Token(BaseModel):
    text: str
    by: str


def closed(gate: str, since: float) -> bool:
    """Say whether the gate is still closed for somebody who waits there since then."""
    return not (GATES / gate).exists() and time.monotonic() < since + WAITS_FOR


async def wait_at(gate: str) -> None:
    since = time.monotonic()
    while closed(gate, since):  # noqa: ASYNC110 - a file tells nobody that it is there
        await asyncio.sleep(0.01)


def wait_in_thread_at(gate: str) -> None:
    since = time.monotonic()
    while closed(gate, since):
        time.sleep(0.01)


@bentoml.service(traffic={"timeout": 60})
class WriterV1:
    """Write, draw, report."""

    name = "v1"

    def __init__(self) -> None:
        if "GATES" in os.environ:
            with (GATES / f"processes-of-{self.name}").open("a") as processes:
                processes.write(f"{os.getpid()}\n")

    @bentoml.api
    async def write(self, ctx: bentoml.Context, prompt: str) -> AsyncGenerator[str, None]:
        """Write a text, word by word; a prompt may name a gate after the first word."""
        word, _, gate = prompt.partition("@")
        if word == "refused":
            raise InvalidArgument("there is nothing to say")
        ctx.response.headers["X-Written-By"] = self.name
        ctx.response.status_code = 201
        try:
            yield f"data: {self.name}\n\n"
            if gate:
                await wait_at(gate)
            yield f"data: {word}\n\n"
            yield "data: ünïcode\n\n"
        finally:
            if gate:
                (GATES / f"{gate}.left-by-{self.name}").touch()

    @bentoml.api
    def count(self, upto: int, gate: str = "") -> Generator[str, None, None]:
        """Count, in a thread; only the candidate waits at a gate that is named for it."""
        for number in range(upto):
            if number and gate and not (gate.startswith("v2") and self.name == "v1"):
                wait_in_thread_at(gate)
            yield f"{number}\n"

    @bentoml.api
    async def tokens(self, words: list[str]) -> AsyncGenerator[Token, None]:
        """Stream objects."""
        for word in words:
            yield Token(text=word, by=self.name)

    @bentoml.api
    async def arrays(self, sizes: list[int]) -> AsyncGenerator[np.ndarray, None]:
        """Stream arrays."""
        for size in sizes:
            yield np.arange(size, dtype=np.float64) + int(self.name[1:])

    @bentoml.api
    def draw(self, size: int) -> Image.Image:
        """Draw a square; a large one as JPEG."""
        image = Image.new("RGB", (size, size), (1, 2, 3) if self.name == "v1" else (1, 2, 4))
        if size > 8:
            image.format = "JPEG"
        return image

    @bentoml.api
    def report(self, ctx: bentoml.Context, rows: int) -> Path:
        """Write a file into the request's folder."""
        ctx.response.headers["X-Reported-By"] = self.name
        path = Path(ctx.temp_dir) / "report.csv"
        path.write_text("".join(f"{row},{self.name[1:]}\n" for row in range(rows)))
        return path

    @bentoml.api
    def reverse(self, upload: Path) -> bytes:
        """Reverse an uploaded file, and spoil it."""
        content = upload.read_bytes()
        upload.write_bytes(b"spoilt")
        return content[::-1]


@bentoml.service(traffic={"timeout": 60})
class WriterV2(WriterV1.inner):  # type: ignore[name-defined,misc]
    name = "v2"

    @bentoml.api
    async def write(self, ctx: bentoml.Context, prompt: str) -> AsyncGenerator[str, None]:
        """Write a text, and misbehave on request."""
        word, _, gate = prompt.partition("@")
        if word == "raises":
            raise ValueError("the candidate has nothing to say")
        ctx.response.headers["X-Written-By"] = self.name
        ctx.response.status_code = 202
        try:
            yield f"data: {self.name}\n\n"
            if word == "breaks":
                raise ValueError("the candidate has nothing more to say")
            if gate:
                await wait_at(gate)
            yield f"data: {word}\n\n"
            yield "data: ünïcode\n\n"
        finally:
            if gate:
                (GATES / f"{gate}.left-by-{self.name}").touch()


Writer = migrate(
    primary=WriterV1,
    flag=os.environ.get("FLAG", "writer-v2"),
    apis={
        "write": Reading.of({"length": len}),
        "count": Reading.of(lambda text: text.count("\n")),
        "tokens": Reading.of({"tokens": len}),
        "draw": Reading.of("width"),
        "report": Reading.of({"size": lambda path: path.stat().st_size}),
    },
    **placed(WriterV2),
    name="Writer",
)
