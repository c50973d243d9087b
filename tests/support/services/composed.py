"""Two services that call others: legacy runners, from a thread and from the event loop."""

import os
from typing import Any

import bentoml
import numpy as np
from bentoml.legacy import Runnable, Runner

from flags import migrate


class Halves(Runnable):
    """A model as before BentoML 1.2, with a method as people wrote them."""

    SUPPORTED_RESOURCES = ("cpu",)
    SUPPORTS_CPU_MULTI_THREADING = True

    @Runnable.method(batchable=True, batch_dim=0)
    def halve(self, amounts: np.ndarray) -> np.ndarray:
        return amounts / 2


class Anything(Runnable):
    """A model with two methods as BentoML makes them of a framework's model."""

    SUPPORTED_RESOURCES = ("cpu",)
    SUPPORTS_CPU_MULTI_THREADING = True


def add_method(name: str, factor: float) -> None:
    def _run(self: Anything, *args: Any, **kwargs: Any) -> Any:
        return factor * args[0]

    Anything.add_method(_run, name=name)


add_method("double", 2)
add_method("triple", 3)

HalvesRunner = bentoml.runner_service(Runner(Halves, name="halves"))
AnythingRunner = bentoml.runner_service(Runner(Anything, name="anything"))


@bentoml.service(traffic={"timeout": 60})
class ComposedV1:
    halves = bentoml.depends(HalvesRunner)

    @bentoml.api
    def judge(self, amount: float) -> float:
        return float(self.halves.halve(np.array([amount]))[0])


@bentoml.service(traffic={"timeout": 60})
class ComposedV2:
    anything = bentoml.depends(AnythingRunner)

    @bentoml.api
    async def judge(self, amount: float) -> float:
        doubled = await self.anything.to_async.double(np.array([amount]))
        return float((await self.anything.to_async.triple(doubled))[0])


Composed = migrate(
    primary=ComposedV1,
    candidate=ComposedV2,
    flag="composed-v2",
    score={"amount": float},
    placement=os.environ.get("PLACEMENT", "runners"),
    name="Composed",
)
