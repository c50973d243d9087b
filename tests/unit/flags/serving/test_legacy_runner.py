import warnings
from typing import Any

import bentoml
import numpy as np
import pytest
from bentoml import Service
from bentoml._internal.configuration import load_config

from flags.serving.legacy_runner import repair_runners


@pytest.fixture
def runner() -> Service[Any]:
    """Return what BentoML makes of a runner like those that it makes of a framework's models."""
    load_config()  # a service that was served in this process has left one without runners
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of BentoML, which deprecates runners
        from bentoml.legacy import Runnable, Runner

        class Scaled(Runnable):
            SUPPORTED_RESOURCES = ("cpu",)
            SUPPORTS_CPU_MULTI_THREADING = True

            @Runnable.method
            async def negate(self, amount: float) -> float:
                return -amount

        for name, factor in (("double", 2), ("triple", 3)):

            def _run(self: Scaled, *args: Any, factor: int = factor, **kwargs: Any) -> Any:
                return factor * args[0]

            Scaled.add_method(_run, name=name, batchable=True, batch_dim=0)
        return bentoml.runner_service(Runner(Scaled, name="scaled"))


def test_bentoml_itself_cannot_start_a_runners_service(runner: Service[Any]) -> None:
    """If this fails, BentoML is repaired, and `flags.serving.legacy_runner` can be removed."""
    with pytest.raises(AttributeError):
        runner()


def test_each_method_of_a_mended_runner_is_an_api_of_its_own(runner: Service[Any]) -> None:
    repair_runners(runner)
    assert {name: api.route for name, api in runner.apis.items()} == {
        "negate": "/negate",
        "double": "/double",
        "triple": "/triple",
    }
    assert list(runner.apis["double"].input_spec.model_fields) == ["input_data"]
    assert list(runner.apis["negate"].input_spec.model_fields) == ["amount"]
    assert runner.apis["double"].batchable
    assert runner.apis["double"].batch_dim == (0, 0)


async def test_a_mended_runner_answers(runner: Service[Any]) -> None:
    repair_runners(runner)
    instance = runner()
    assert instance.double.local(np.array([1.5])).tolist() == [3.0]
    assert instance.triple.local(np.array([1.5])).tolist() == [4.5]
    assert await instance.negate.local(1.5) == -1.5


def test_runners_that_services_depend_on_are_mended_too_and_only_once(runner: Service[Any]) -> None:
    @bentoml.service
    class Caller:
        scaled = bentoml.depends(runner)

        @bentoml.api
        def double(self, amount: float) -> float:
            return float(self.scaled.double(amount))

    repair_runners(Caller)
    mended = dict(runner.apis)
    assert mended["triple"].route == "/triple"
    repair_runners(Caller)
    assert runner.apis == mended
    assert Caller.apis["double"].func.__name__ == "double"
