"""Give each side the environment variables of its own service."""

import json
import os
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from bentoml import Service

from flags.errors import MigrationError
from flags.serving.bentoml_private import server_context
from flags.serving.sides.placement import Placement

_GIVEN: Final = "BENTOML_FLAGS_GIVEN_VARIABLES"
"""Variable that tells a worker which ones the operator had set: BentoML adds the service's own."""


def check_environments(
    primary: Service[Any], candidate: Service[Any], placement: Placement
) -> None:
    """Raise MigrationError that names the variables which the sides cannot both have."""
    if placement is Placement.RUNNERS:
        return
    theirs = {each.name: each for each in candidate.envs}
    for ours in primary.envs:
        other = theirs.get(ours.name)
        if other is None or other.value == ours.value:
            continue
        at_build = "build" in (ours.stage, other.stage)
        if placement is Placement.EMBEDDED or at_build:
            where = "one image" if at_build else "one process"
            raise MigrationError(
                f"envs: {primary.name} sets {ours.name} to {ours.value!r}, {candidate.name} to "
                f"{other.value!r}, and both are in {where}: give it the same value in both"
                + ("" if at_build else ", or use the placement 'isolated' or 'runners'")
            )


def served_environment(
    primary: Service[Any], candidate: Service[Any] | None, placement: Placement
) -> list[Any]:
    """Return the `envs` of the migrated service: the primary's, in one process the candidate's too.

    Of an isolated candidate, those of the image; the others are set in its own process.
    """
    if placement is Placement.RUNNERS:
        return []
    names = {each.name for each in primary.envs}
    theirs = [] if candidate is None else candidate.envs
    shared = [each for each in theirs if each.name not in names]
    if placement is Placement.ISOLATED:
        shared = [each for each in shared if each.stage == "build"]
    return [*primary.envs, *shared]


def note_given(services: Iterable[Service[Any]]) -> None:
    """Note which variables of `services` are set by the operator, for this process's children.

    In a worker it is too late: there BentoML has set those of the service that it serves.
    """
    noted: dict[str, bool] = json.loads(os.environ.get(_GIVEN, "{}"))
    for service in services:
        for each in service.envs:
            noted.setdefault(each.name, each.name in os.environ)
    if noted:
        os.environ[_GIVEN] = json.dumps(noted)


def own_environment(candidate: Service[Any], primary: Service[Any]) -> Mapping[str, str | None]:
    """Return what differs from this worker's environment in that of the candidate alone.

    None means that a variable is not set. Raises MigrationError for one that is required and is
    not set, as BentoML refuses to start such a service.
    """
    given: dict[str, bool] = json.loads(os.environ.get(_GIVEN, "{}"))
    changed: dict[str, str | None] = {
        each.name: None
        for each in primary.envs
        if each.stage != "build" and not given.get(each.name, True)
    }
    for each in candidate.envs:
        if each.stage == "build":
            continue
        # As BentoML: of the service that is served, the operator's value counts; of one that
        # others depend on, its own.
        is_entry = server_context.service_type != "service"
        is_given = given.get(each.name, each.name in os.environ)
        if is_given and (is_entry or not each.value):
            changed.pop(each.name, None)
        elif each.value:
            changed[each.name] = each.value
        else:
            raise MigrationError(
                f"envs: {candidate.name} requires the variable {each.name}, which is not set"
            )
    return changed


def apply_environment(
    changed: Mapping[str, str | None], environment: MutableMapping[str, str] = os.environ
) -> None:
    """Set and remove variables."""
    for name, value in changed.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
