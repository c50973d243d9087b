"""The lifecycle hooks of the migrated service, taken from both services.

`on_startup` and `on_shutdown` run in the process of each side.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import bentoml
from bentoml import Service

from flags.errors import MigrationError
from flags.pairing.assignment import Side
from flags.serving.plan import Plan
from flags.serving.sides.placement import Placement

logger = logging.getLogger(__name__)

_DEPLOYMENT: Final = "__bentoml_deployment_hook__"
_GRADIO: Final = "__bentoml_gradio_apps__"


def check_commands(services: Mapping[Side, Service[Any]]) -> None:
    """Raise MigrationError for a service that runs a custom command: it has no API to score."""
    for word, service in services.items():
        if service.has_custom_command():
            raise MigrationError(
                f"the {word} {service.name} is started by a command of its own (cmd= or "
                "__command__), which answers in BentoML's place: it cannot be migrated"
            )


def carried_hooks(plan: Plan) -> dict[str, Any]:
    """Return the members of the migrated class that call the hooks of both services."""
    body: dict[str, Any] = {"__is_ready__": _is_ready}
    inner = plan.primary.inner
    if hasattr(inner, "__is_alive__"):
        body["__is_alive__"] = _is_alive
    if hasattr(inner, "__metrics__"):
        body["__metrics__"] = _metrics
    if plan.placement is Placement.RUNNERS:
        return body  # BentoML starts runners as services, and runs their hooks
    if gradio := getattr(inner, _GRADIO, None):
        body[_GRADIO] = list(gradio)
    # BentoML runs hooks in the order of their names, so the primary's run first.
    for number, (side, service) in enumerate(plan.services.items()):
        for name, hook in _deployment_hooks(service).items():
            run = hook if side is Side.PRIMARY else _never_raising(service.name, hook)
            body[f"bentoml_flags_deployment_{number}_{name}"] = bentoml.on_deployment(run)
    return body


def _deployment_hooks(service: Service[Any]) -> dict[str, Callable[[], object]]:
    members = {name: getattr(service.inner, name) for name in dir(service.inner)}
    return {
        name: member
        for name, member in members.items()
        if callable(member) and getattr(member, _DEPLOYMENT, False)
    }


def _never_raising(name: str, hook: Callable[[], object]) -> Callable[[], None]:
    """Return a hook that logs its error, so that the primary can still answer."""

    def run() -> None:
        try:
            hook()
        except Exception:
            logger.exception("a deployment hook of the candidate %s failed", name)

    return run


async def _is_ready(self: Any) -> bool:
    ready: bool = await self.bentoml_flags_worker.is_ready()
    return ready


async def _is_alive(self: Any) -> bool:
    alive: bool = await self.bentoml_flags_worker.is_alive()
    return alive


async def _metrics(self: Any, text: str) -> str:
    metrics: str = await self.bentoml_flags_worker.metrics(text)
    return metrics
