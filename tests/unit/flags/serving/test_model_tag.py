"""The recorded tag is the one in the model store, not the requested one."""

from collections.abc import Iterator
from pathlib import Path

import bentoml
import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore

from flags.serving.model_tag import model_tag


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ModelStore]:
    """Use an empty model store for one test."""
    BentoMLContainer.model_store.set(ModelStore(tmp_path))
    yield BentoMLContainer.model_store.get()
    BentoMLContainer.model_store.reset()


def service_of(*models: bentoml.models.BentoModel) -> "bentoml.Service[object]":
    attributes = {f"model_{index}": model for index, model in enumerate(models)}
    return bentoml.service(name="Fraud")(type("Fraud", (), attributes))


def saved(name: str) -> str:
    with bentoml.models.create(name) as model:
        return str(model.tag)


@pytest.mark.usefixtures("store")
def test_latest_is_resolved_to_the_version_that_is_there() -> None:
    tag = saved("fraud")
    assert model_tag(service_of(bentoml.models.BentoModel("fraud:latest"))) == tag


@pytest.mark.usefixtures("store")
def test_several_models_are_joined() -> None:
    tags = [saved("fraud"), saved("scaler")]
    service = service_of(*map(bentoml.models.BentoModel, tags))
    assert model_tag(service) == "+".join(tags)


@pytest.mark.usefixtures("store")
def test_a_model_that_is_missing_keeps_the_tag_that_was_asked_for() -> None:
    assert model_tag(service_of(bentoml.models.BentoModel("fraud:gone"))) == "fraud:gone"


def test_a_service_without_models_goes_by_its_name() -> None:
    assert model_tag(service_of()) == "Fraud"
