"""The environment variables of each side: those of its own service."""

import json
import os
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from bentoml import Service

from flags.errors import MigrationError
from flags.serving.bentoml_private import server_context
from flags.serving.sides.placement import Placement

_OPERATOR_SET: Final = "BENTOML_FLAGS_GIVEN_VARIABLES"
"""Variable that tells a worker which variables the operator has set, because BentoML adds the
service's own."""


def check_environments(
    primary: Service[Any], candidate: Service[Any], placement: Placement
) -> None:
    """Raise MigrationError, with the variable's name, if the sides need two values of one."""
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
    """Return the `envs` of the migrated service: the primary's, and shared ones of the candidate.

    An embedded candidate shares all of its variables. An isolated candidate shares those of the
    image's build; the others are set in its own process.
    """
    if placement is Placement.RUNNERS:
        return []
    names = {each.name for each in primary.envs}
    theirs = [] if candidate is None else candidate.envs
    shared = [each for each in theirs if each.name not in names]
    if placement is Placement.ISOLATED:
        shared = [each for each in shared if each.stage == "build"]
    return [*primary.envs, *shared]


def save_operator_variables(services: Iterable[Service[Any]]) -> None:
    """Save for child processes which variables of `services` the operator has set.

    A worker cannot find out itself: BentoML has already set those of the service that it serves.
    """
    is_set: dict[str, bool] = json.loads(os.environ.get(_OPERATOR_SET, "{}"))
    for service in services:
        for each in service.envs:
            is_set.setdefault(each.name, each.name in os.environ)
    if is_set:
        os.environ[_OPERATOR_SET] = json.dumps(is_set)


def own_environment(candidate: Service[Any], primary: Service[Any]) -> Mapping[str, str | None]:
    """Return the variables that differ between the candidate's process and this worker.

    None means that a variable is not set. Raises MigrationError if a required variable is not set,
    because BentoML would refuse to start such a service.
    """
    is_set: dict[str, bool] = json.loads(os.environ.get(_OPERATOR_SET, "{}"))
    changed: dict[str, str | None] = {
        each.name: None
        for each in primary.envs
        if each.stage != "build" and not is_set.get(each.name, True)
    }
    for each in candidate.envs:
        if each.stage == "build":
            continue
        # As in BentoML, the operator's value wins for the served service; for a service that
        # others depend on, its own value wins.
        is_entry = server_context.service_type != "service"
        is_operators = is_set.get(each.name, each.name in os.environ)
        if is_operators and (is_entry or not each.value):
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
    """Set the variables in `changed`; remove those that are None."""
    for name, value in changed.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
