"""A migrated class in a unit test is the primary: no server, no flag, no pairs."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import bentoml
import pytest

from flags import migrate
from flags.errors import MigrationError


class Model:
    factor: int

    def __init__(self) -> None:
        self.offset = 1

    def helped(self) -> str:
        return f"helped {self.offset}"

    @bentoml.api
    def predict(self, x: float, times: int = 1) -> float:
        """Predict."""
        return times * x * self.factor + self.offset

    @bentoml.api
    async def later(self, x: float) -> float:
        return x * self.factor

    @bentoml.api
    def count(self, n: int) -> Generator[str, None, None]:
        for i in range(n):
            yield str(i)

    @bentoml.api
    async def count_later(self, n: int) -> AsyncGenerator[str, None]:
        for i in range(n):
            yield str(i)


@bentoml.service
class V1(Model):
    factor = 2


@bentoml.service
class V2(Model):
    factor = 3

    def __init__(self) -> None:
        raise RuntimeError("the candidate is not needed here")


@bentoml.service
class Front:
    model = bentoml.depends(V1)


@pytest.fixture(params=["isolated", "embedded", "runners"])
def migrated(request: pytest.FixtureRequest) -> Any:
    return migrate(V1, V2, flag="f", name=f"M{request.param}", placement=request.param)


def test_an_instance_answers_as_the_primary_synchronously_or_not(migrated: Any) -> None:
    model = migrated()
    assert (model.predict(2), model.predict(x=2, times=3)) == (5, 13)
    assert asyncio.run(model.later(2)) == 4
    assert list(model.count(n=3)) == ["0", "1", "2"]

    async def counted() -> list[str]:
        return [each async for each in model.count_later(3)]

    assert asyncio.run(counted()) == ["0", "1", "2"]


def test_an_instance_has_what_else_the_primary_has(migrated: Any) -> None:
    model = migrated()
    assert (model.offset, model.factor, model.helped()) == (1, 2, "helped 1")
    with pytest.raises(AttributeError, match="missing"):
        _ = model.missing
    assert asyncio.run(model.to_async.predict(x=2)) == 5
    assert model.to_sync.predict(x=2) == 5


def test_a_dependent_service_without_a_server_gets_the_primary_too(migrated: Any) -> None:
    @bentoml.service
    class Dependent:
        model = bentoml.depends(migrated)

        @bentoml.api
        def ask(self, x: float) -> float:
            return self.model.predict(x=x)

    assert Dependent().ask(x=2) == 5


def test_documents_are_the_primary_s(migrated: Any) -> None:
    assert migrated.openapi_spec.asdict() == V1.openapi_spec.asdict()
    assert migrated.schema() == V1.schema()
    operation = migrated.openapi_spec.asdict()["paths"]["/predict"]["post"]
    assert operation["operationId"] == "V1__predict"


@pytest.mark.parametrize("word", ["primary", "candidate"])
def test_a_service_with_a_command_of_its_own_is_refused(word: str) -> None:
    @bentoml.service(name="Commanded", cmd=["serve-it"])
    class Commanded(Model):
        factor = 1

    sides = {"primary": V1, "candidate": V1, word: Commanded}
    with pytest.raises(MigrationError, match=f"the {word} Commanded is started by a command"):
        migrate(**sides, flag="f")
