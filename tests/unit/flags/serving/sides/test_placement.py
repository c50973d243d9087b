"""The choice of the placement of both models."""

import bentoml
import pytest

from flags.errors import MigrationError
from flags.serving.sides.placement import Placement, placement_of


@bentoml.service(resources={"cpu": "1"})
class Plain:
    @bentoml.api
    def predict(self, x: float) -> float:
        return x


@bentoml.service
class Batched:
    @bentoml.api(batchable=True)
    def predict(self, x: list[float]) -> list[float]:
        return x


@bentoml.service(resources={"gpu": 1})
class OnGpu:
    @bentoml.api
    def predict(self, x: float) -> float:
        return x


def test_models_are_isolated_where_nothing_speaks_against_it() -> None:
    assert placement_of(None, Plain, Plain) is Placement.ISOLATED


@pytest.mark.parametrize("other", [Batched, OnGpu])
def test_what_only_bentomls_own_processes_do_gets_them(other: bentoml.Service) -> None:
    assert placement_of(None, Plain, other) is Placement.RUNNERS
    assert placement_of(None, other, Plain) is Placement.RUNNERS


@pytest.mark.parametrize("wanted", list(Placement))
def test_what_is_wanted_is_what_one_gets(wanted: Placement) -> None:
    assert placement_of(wanted.value, Plain, Plain) is wanted


def test_a_candidate_that_no_process_can_import_is_not_isolated() -> None:
    @bentoml.service
    class Local:
        @bentoml.api
        def predict(self, x: float) -> float:
            return x

    assert placement_of(None, Plain, Local) is Placement.RUNNERS
    assert placement_of(None, Local, Plain) is Placement.ISOLATED  # the primary is not moved
    with pytest.raises(MigrationError, match="its process cannot import Local"):
        placement_of("isolated", Plain, Local)


def test_a_placement_that_is_none_is_named() -> None:
    with pytest.raises(MigrationError, match="placement is 'elsewhere'"):
        placement_of("elsewhere", Plain, Plain)
