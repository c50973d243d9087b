"""The placement of each side: in a process of its own, or in the API worker's threads."""

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
from flags.serving.batch_method import BatchMethod, bound
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
    worker, as without us: isolation at less CPU."""
    EMBEDDED = "embedded"
    """Both in the API worker: a fraction of the CPU, but a crash takes the worker with it."""


class PlacedSide(Protocol):
    """One side, ready to be called."""

    async def start(self) -> None:
        """Make the side ready; raises what its model raises."""

    async def stop(self) -> None:
        """Let the side clean up."""

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:
        """Return what answers `api`; its `ctx` keyword, if any, is a SideContext.

        For a stream, that is a StreamModel. Without `read`, an answer that comes rendered need not
        be there in any other form.
        """

    def batch_model(self, method: BatchMethod) -> Callable[[Any], Any]:
        """Return the candidate's `method`, to be called with what many inputs are joined to."""

    async def is_ready(self) -> bool:
        """Say whether the side can answer."""


class PlacedPrimary(PlacedSide, Protocol):
    """The side that stands for the service: its hooks answer what the server is asked."""

    @property
    def instance(self) -> Instance:
        """Return the instance of the service, or the proxy in its place."""

    async def is_alive(self) -> bool:
        """Say what the service's own `__is_alive__` says."""

    async def metrics(self, text: str) -> str:
        """Return what the service's own `__metrics__` makes of `text`."""


class EmbeddedSide:
    """A side in this process: its service's class is instantiated here, hooks included."""

    def __init__(self, side: Side, service: Service[Any]) -> None:
        """Place `service`; the primary's instance is made at once, as without us."""
        self._side = side
        self._service = service
        self._instance: Instance = service() if side is Side.PRIMARY else None
        self._failure: Exception | None = None

    @property
    def instance(self) -> Instance:
        """Return the instance; None of a candidate that is not loaded."""
        return self._instance

    async def start(self) -> None:
        """Run what a start runs; a candidate that cannot be loaded fails each request instead."""
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

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:  # noqa: ARG002 - the answer is there anyway
        """Return the bound method behind `api`."""
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
        """Return the bound method."""
        if self._instance is None:
            return self._refuse
        own: Callable[[Any], Any] = bound(self._instance, method)
        if not method.is_async:
            return own

        async def call(joined: Any) -> Any:
            return await own(joined)

        return call

    async def is_ready(self) -> bool:
        """Ask the service's own `__is_ready__`, if it has one."""
        if not hasattr(self._service.inner, "__is_ready__"):
            return self._instance is not None
        return bool(await _hooked(self._instance.__is_ready__))

    async def is_alive(self) -> bool:
        """Ask the service's own `__is_alive__`."""
        return bool(await _hooked(self._instance.__is_alive__))

    async def metrics(self, text: str) -> str:
        """Ask the service's own `__metrics__`."""
        metrics: str = await _hooked(self._instance.__metrics__, text)
        return metrics

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{self._service.name} could not be loaded") from self._failure

    async def _refuse_stream(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        self._refuse()
        yield


async def _hooked(hook: Callable[..., Any], *args: Any) -> Any:
    if inspect.iscoroutinefunction(hook):
        return await hook(*args)
    return await asyncio.to_thread(hook, *args)


def as_generator(api: APIMethod[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method` as what it is, a generator function, which BentoML's wrapper hides."""
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
    """Run the hooks of `service` that carry `mark`."""
    for name in dir(service.inner):
        member = getattr(service.inner, name)
        if not name.startswith("__") and callable(member) and getattr(member, mark, False):
            result: Awaitable[None] | None = getattr(instance, name)()
            if inspect.isawaitable(result):
                await asyncio.ensure_future(result)


_GPU: Final = ("gpu", "gpu_type")
"""What a service's `resources` may ask for that BentoML assigns to worker processes of its own."""


def placement_of(wanted: str | None, primary: Service[Any], candidate: Service[Any]) -> Placement:
    """Return the placement that is wanted; if none is, the best one that the services can have.

    That is `isolated`, unless one of them is batched or asks for a GPU, or the candidate is nowhere
    that another process could import it from: then it is `runners`, BentoML's own. Raises
    MigrationError for what is not a placement, and for `isolated` where no process can import the
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


def placement_beside_remote(
    wanted: str | None, primary: Service[Any], is_isolated: bool = False
) -> Placement:
    """Return where the primary runs whose candidate is not imported here.

    `isolated`, where it is allowed, names the candidate's place alone.

    Raises MigrationError for what is not one of these places.
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
