"""Choose where both models run, where the user has not."""

from typing import Any, Final

from bentoml import Service
from bentoml.exceptions import BentoMLException

from flags.errors import MigrationError
from flags.placement import Placement

_GPU: Final = ("gpu", "gpu_type")
"""What a service's `resources` may ask for that BentoML assigns to worker processes of its own."""


def placement_of(wanted: str | None, *services: Service[Any]) -> Placement:
    """Return the placement that is wanted; if none is, the best one that the services can have.

    That is `isolated`, unless one of them is batched, asks for a GPU, or is nowhere that another
    process could import it from: then it is `runners`, BentoML's own. Raises MigrationError for
    what is no placement, and for `isolated` where a process cannot import a service.
    """
    if wanted is None:
        return Placement.RUNNERS if any(map(_needs_runners, services)) else Placement.ISOLATED
    try:
        placed = Placement(wanted)
    except ValueError:
        known = " or ".join(repr(each.value) for each in Placement)
        raise MigrationError(f"placement is {wanted!r}: it must be {known}") from None
    if placed is Placement.ISOLATED:
        for service in services:
            if unimportable := _unimportable(service):
                raise MigrationError(
                    f"placement is 'isolated', and its process cannot import {service.name}: "
                    f"{unimportable}"
                )
    return placed


def _needs_runners(service: Service[Any]) -> bool:
    resources = service.config.get("resources") or {}
    wants_gpu = any(resources.get(each) for each in _GPU)
    is_batched = any(api.batchable for api in service.apis.values())
    return wants_gpu or is_batched or _unimportable(service) is not None


def _unimportable(service: Service[Any]) -> BentoMLException | None:
    try:
        service.import_string  # noqa: B018 - a property that raises
    except BentoMLException as error:
        return error
    return None
