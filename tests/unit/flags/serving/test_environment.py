"""Each side has the variables of its own service, and of the operator, as it would have alone."""

import json
from typing import Any

import bentoml
import pytest
from bentoml._internal.context import server_context

from flags import migrate
from flags.errors import MigrationError
from flags.serving.environment import (
    apply_environment,
    check_environments,
    own_environment,
    save_operator_variables,
    served_environment,
)
from flags.serving.sides.placement import Placement

GIVEN = "BENTOML_FLAGS_GIVEN_VARIABLES"


def service(name: str, **envs: str | None) -> Any:
    @bentoml.service(
        name=name,
        envs=[
            {"name": each, **({"value": value} if value else {})} for each, value in envs.items()
        ],
    )
    class Model:
        @bentoml.api
        def predict(self, x: float) -> float:
            return x

    return Model


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GIVEN, raising=False)
    for name in ("WEIGHTS", "ONLY_V1", "ONLY_V2", "TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(server_context, "service_type", "entry_service")


def in_worker(monkeypatch: pytest.MonkeyPatch, primary: Any, candidate: Any) -> None:
    """Set the variables as BentoML does before it starts a worker of the migrated service."""
    save_operator_variables((primary, candidate))
    import os

    monkeypatch.setenv(GIVEN, os.environ[GIVEN])
    for each in served_environment(primary, candidate, Placement.ISOLATED):
        if each.name not in os.environ and each.value:
            monkeypatch.setenv(each.name, each.value)


def test_an_isolated_candidate_has_its_own_value_and_not_the_primary_s_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    primary = service("V1", WEIGHTS="v1.bin", ONLY_V1="1")
    candidate = service("V2", WEIGHTS="v2.bin", ONLY_V2="2")
    in_worker(monkeypatch, primary, candidate)
    changed = own_environment(candidate, primary)
    assert changed == {"WEIGHTS": "v2.bin", "ONLY_V1": None, "ONLY_V2": "2"}
    environment = {"WEIGHTS": "v1.bin", "ONLY_V1": "1", "HOME": "/"}
    apply_environment(changed, environment)
    assert environment == {"WEIGHTS": "v2.bin", "ONLY_V2": "2", "HOME": "/"}


def test_what_the_operator_sets_goes_before_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTS", "the operator's")
    primary, candidate = service("V1", WEIGHTS="v1.bin"), service("V2", WEIGHTS="v2.bin")
    in_worker(monkeypatch, primary, candidate)
    assert own_environment(candidate, primary) == {}


def test_of_a_service_that_others_depend_on_its_own_value_counts_as_bentoml_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEIGHTS", "the operator's")
    primary, candidate = service("V1", WEIGHTS="v1.bin"), service("V2", WEIGHTS="v2.bin")
    in_worker(monkeypatch, primary, candidate)
    monkeypatch.setattr(server_context, "service_type", "service")
    assert own_environment(candidate, primary) == {"WEIGHTS": "v2.bin"}


def test_a_required_variable_of_the_candidate_that_is_not_set_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    primary, candidate = service("V1"), service("V2", TOKEN=None)
    in_worker(monkeypatch, primary, candidate)
    with pytest.raises(MigrationError, match="V2 requires the variable TOKEN"):
        own_environment(candidate, primary)


def test_what_was_noted_before_bentoml_set_variables_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    primary, candidate = service("V1", WEIGHTS="v1.bin"), service("V2", WEIGHTS="v2.bin")
    in_worker(monkeypatch, primary, candidate)
    save_operator_variables((primary, candidate))  # the worker imports the module as well
    import os

    assert json.loads(os.environ[GIVEN]) == {"WEIGHTS": False}


def test_embedded_sides_with_another_value_are_refused_by_the_name_of_the_variable() -> None:
    primary, candidate = service("V1", WEIGHTS="v1.bin"), service("V2", WEIGHTS="v2.bin")
    with pytest.raises(MigrationError, match=r"WEIGHTS.*'v1.bin'.*'v2.bin'.*one process"):
        migrate(primary, candidate, flag="f", placement="embedded")
    same = service("V3", WEIGHTS="v1.bin", ONLY_V2="2")
    check_environments(primary, same, Placement.EMBEDDED)
    names = [each.name for each in served_environment(primary, same, Placement.EMBEDDED)]
    assert names == ["WEIGHTS", "ONLY_V2"]


def test_variables_of_the_image_can_only_have_one_value() -> None:
    primary, candidate = service("V1", WEIGHTS="a"), service("V2", WEIGHTS="b")
    primary.envs[0].stage = "build"
    with pytest.raises(MigrationError, match="one image"):
        check_environments(primary, candidate, Placement.ISOLATED)
    check_environments(primary, candidate, Placement.RUNNERS)
