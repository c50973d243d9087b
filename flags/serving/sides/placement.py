"""The placements of both sides, and a side in the API worker's own process."""

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from enum import StrEnum
from typing import Any, Final, Protocol

from bentoml import Service
from bentoml.exceptions import BentoMLException

from flags.errors import MigrationError
from flags.pairing.assignment import Side
from flags.serving.batch_method import BatchMethod, method_of
from flags.serving.bentoml_private import APIMethod
from flags.serving.sides.dependencies import open_dependencies

logger = logging.getLogger(__name__)

Instance = Any
"""An instance of a service's class, or a proxy that has its methods."""


class Placement(StrEnum):
    """Where both models run."""

    RUNNERS = "runners"
    """Each model in its own BentoML worker processes: isolation, batching, GPUs, other machines."""
    ISOLATED = "isolated"
    """The candidate in a process beside each API worker, reached by a pipe; the primary in the
    worker, as without this plugin: isolation at less CPU."""
    EMBEDDED = "embedded"
    """Both in the API worker: a fraction of the CPU, but a crash of a model ends the worker."""


class PlacedSide(Protocol):
    """One side at its place."""

    async def start(self) -> None:
        """Make the side ready; raises the errors of its model."""

    async def stop(self) -> None:
        """Stop the side and clean up."""

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:
        """Return the callable that answers `api`; its context argument, if any, is a SideContext.

        For a stream, it is a StreamModel. Without `read`, the value of a rendered answer may be
        None.
        """

    def batch_model(self, method: BatchMethod) -> Callable[[Any], Any]:
        """Return the candidate's `method`, which takes the joined inputs of many calls."""

    async def is_ready(self) -> bool:
        """Say whether the side can answer."""


class PlacedPrimary(PlacedSide, Protocol):
    """The primary's side, whose hooks answer the probes and metrics of the migrated service."""

    @property
    def instance(self) -> Instance:
        """Return the instance of the service, or the proxy in its place."""

    async def is_alive(self) -> bool:
        """Return the result of the service's own `__is_alive__`."""

    async def metrics(self, text: str) -> str:
        """Return the result of the service's own `__metrics__` for `text`."""


class EmbeddedSide:
    """A side in this process: its service's class is instantiated here, and its hooks run here."""

    def __init__(self, side: Side, service: Service[Any]) -> None:
        """Place `service`; the primary's instance is made at once, as without this plugin."""
        self._side = side
        self._service = service
        self._instance: Instance = service() if side is Side.PRIMARY else None
        self._failure: Exception | None = None

    @property
    def instance(self) -> Instance:
        """Return the instance; None for a candidate that is not loaded."""
        return self._instance

    async def start(self) -> None:
        """Open dependencies and run startup hooks.

        The calls of a candidate that cannot be loaded fail instead.
        """
        try:
            if self._instance is None:
                self._instance = self._service()
            await open_dependencies(self._service, self._instance)
            await run_hooks(self._service, self._instance, "__bentoml_startup_hook__")
        except Exception as error:
            if self._side is Side.PRIMARY:
                raise
            logger.exception("the candidate %s could not be loaded", self._service.name)
            self._instance, self._failure = None, error

    async def stop(self) -> None:
        """Run the service's shutdown hooks."""
        if self._instance is not None:
            await run_hooks(self._service, self._instance, "__bentoml_shutdown_hook__")

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:  # noqa: ARG002 - the value is available anyway
        """Return the instance's method of `api`."""
        if self._instance is None:
            return self._refuse_stream if api.is_stream else self._refuse
        method: Callable[..., Any] = getattr(self._instance, api.name).local
        if api.is_stream:
            return as_generator(api, method)
        if inspect.iscoroutinefunction(api.func):

            async def call(*args: Any, **kwargs: Any) -> Any:
                return await method(*args, **kwargs)

            return call
        return method

    def batch_model(self, method: BatchMethod) -> Callable[[Any], Any]:
        """Return the instance's batch method."""
        if self._instance is None:
            return self._refuse
        own: Callable[[Any], Any] = method_of(self._instance, method)
        if not method.is_async:
            return own

        async def call(joined: Any) -> Any:
            return await own(joined)

        return call

    async def is_ready(self) -> bool:
        """Ask the service's own `__is_ready__`, if it has one."""
        if not hasattr(self._service.inner, "__is_ready__"):
            return self._instance is not None
        return bool(await _run_hook(self._instance.__is_ready__))

    async def is_alive(self) -> bool:
        """Ask the service's own `__is_alive__`."""
        return bool(await _run_hook(self._instance.__is_alive__))

    async def metrics(self, text: str) -> str:
        """Ask the service's own `__metrics__`."""
        metrics: str = await _run_hook(self._instance.__metrics__, text)
        return metrics

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{self._service.name} could not be loaded") from self._failure

    async def _refuse_stream(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        self._refuse()
        yield


async def _run_hook(hook: Callable[..., Any], *args: Any) -> Any:
    if inspect.iscoroutinefunction(hook):
        return await hook(*args)
    return await asyncio.to_thread(hook, *args)


def as_generator(api: APIMethod[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a generator function that calls `method`, whose wrapper by BentoML is none."""
    if not inspect.isasyncgenfunction(api.func):

        def items(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
            yield from method(*args, **kwargs)

        return items

    async def items_async(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(method(*args, **kwargs)) as own:
            async for item in own:
                yield item

    return items_async


async def run_hooks(service: Service[Any], instance: Instance, mark: str) -> None:
    """Run the hooks of `service` that have the attribute `mark`."""
    for name in dir(service.inner):
        member = getattr(service.inner, name)
        if not name.startswith("__") and callable(member) and getattr(member, mark, False):
            result: Awaitable[None] | None = getattr(instance, name)()
            if inspect.isawaitable(result):
                await asyncio.ensure_future(result)


_GPU: Final = ("gpu", "gpu_type")
"""Entries of a service's `resources` for which it needs worker processes of its own."""


def placement_of(wanted: str | None, primary: Service[Any], candidate: Service[Any]) -> Placement:
    """Return the placement `wanted`; if it is None, the best one that the services can have.

    That is `isolated`, unless a service is batched or asks for a GPU, or another process cannot
    import the candidate: then it is `runners`. Raises MigrationError for an unknown placement, and
    for `isolated` if another process cannot import the candidate.
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


def placement_beside_remote(
    wanted: str | None, primary: Service[Any], is_isolated: bool = False
) -> Placement:
    """Return the placement of the primary if its candidate is not imported here.

    A candidate that `is_isolated` has its own environment; then `isolated` is allowed, and means
    only the candidate.

    Raises MigrationError for any other placement.
    """
    if wanted is None or (is_isolated and wanted == Placement.ISOLATED):
        return Placement.RUNNERS if _needs_runners(primary) else Placement.EMBEDDED
    if wanted in (Placement.RUNNERS, Placement.EMBEDDED):
        return Placement(wanted)
    raise MigrationError(
        f"placement is {wanted!r}, and the candidate is a deployment of its own: it says where the "
        "primary runs, in the worker ('embedded') or in processes of its own ('runners')"
    )


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
