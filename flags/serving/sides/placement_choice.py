"""Choose where both models run, where the user has not."""

from typing import Any, Final

from bentoml import Service
from bentoml.exceptions import BentoMLException

from flags.errors import MigrationError
from flags.serving.sides.placement import Placement

_GPU: Final = ("gpu", "gpu_type")
"""What a service's `resources` may ask for that BentoML assigns to worker processes of its own."""


def placement_of(wanted: str | None, primary: Service[Any], candidate: Service[Any]) -> Placement:
    """Return the placement that is wanted; if none is, the best one that the services can have.

    That is `isolated`, unless one of them is batched or asks for a GPU, or the candidate is nowhere
    that another process could import it from: then it is `runners`, BentoML's own. Raises
    MigrationError for what is no placement, and for `isolated` where no process can import the
    candidate.
    """
    if wanted is None:
        needs_runners = any(map(_needs_runners, (primary, candidate))) or _unimportable(candidate)
        return Placement.RUNNERS if needs_runners else Placement.ISOLATED
    try:
        placed = Placement(wanted)
    except ValueError:
        known = " or ".join(repr(each.value) for each in Placement)
        raise MigrationError(f"placement is {wanted!r}: it must be {known}") from None
    if placed is Placement.ISOLATED and (unimportable := _unimportable(candidate)):
        raise MigrationError(
            f"placement is 'isolated', and its process cannot import {candidate.name}: "
            f"{unimportable}"
        )
    return placed


def _needs_runners(service: Service[Any]) -> bool:
    resources = service.config.get("resources") or {}
    wants_gpu = any(resources.get(each) for each in _GPU)
    is_batched = any(api.batchable for api in service.apis.values())
    return wants_gpu or is_batched


def _unimportable(service: Service[Any]) -> BentoMLException | None:
    try:
        service.import_string  # noqa: B018 - a property that raises
    except BentoMLException as error:
        return error
    return None
