"""`migrate` with a remote candidate, which need not be reachable."""

from typing import Any

import bentoml
import pytest

from flags import Remote, Settings, migrate
from flags.errors import ApiMismatchError, MigrationError
from flags.pairing.assignment import Side
from flags.serving.remote.side import RemoteSide


@bentoml.service
class Near:
    @bentoml.api
    def judge(self, amount: float) -> float:
        return amount


@bentoml.service
class Batched:
    @bentoml.api(batchable=True)
    def judge(self, amounts: list[float]) -> list[float]:
        return amounts


def migrated(primary: Any = Near, **options: Any) -> Any:
    remote = Remote("http://far.invalid:3000", name="far")
    return migrate(primary, options.pop("candidate", remote), flag="far-v2", **options)


def sides(service: Any) -> Any:
    worker = service().bentoml_flags_worker
    return worker.primary_side, worker._sides[Side.CANDIDATE]


def test_the_primary_is_in_the_worker_and_answers_without_a_server() -> None:
    service = migrated()
    _, candidate = sides(service)
    assert isinstance(candidate, RemoteSide)
    assert candidate.tag == "far"
    assert service().judge(amount=2.0) == 2.0
    assert service.dependencies == {}


def test_a_batched_primary_is_in_processes_of_its_own_and_the_candidate_is_not_a_dependency() -> (
    None
):
    service = migrated(Batched)
    assert list(service.dependencies) == ["bentoml_flags_primary"]


def test_the_placement_is_the_primarys() -> None:
    assert list(migrated(placement="runners").dependencies) == ["bentoml_flags_primary"]
    assert migrated(placement="embedded").dependencies == {}
    with pytest.raises(MigrationError, match="where the primary runs"):
        migrated(placement="isolated")


def test_the_address_of_the_environment_counts() -> None:
    _, candidate = sides(migrated(settings=Settings(candidate_url="https://other:1/base/")))
    assert candidate.report().url == "https://other:1/base"
    with pytest.raises(MigrationError, match="like http://"):
        migrated(settings=Settings(candidate_url="other"))


def test_a_candidate_that_is_neither_is_refused_in_words() -> None:
    with pytest.raises(MigrationError, match=r"'http://far': .* is written Remote\('http"):
        migrated(candidate="http://far")
    with pytest.raises(MigrationError, match="or a Remote"):
        migrated(candidate=3)
    with pytest.raises(MigrationError, match="the primary is Remote"):
        migrated(primary=Remote("http://near"))


def test_a_primary_without_apis_cannot_be_migrated() -> None:
    @bentoml.service
    class Empty:
        pass

    with pytest.raises(ApiMismatchError, match="Empty has no API"):
        migrated(Empty)
