"""The main program of the candidate's process: configure it like the worker, load, serve."""

import asyncio
import multiprocessing
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from bentoml import Service

from flags.serving.bentoml_private import (
    BentoMLContainer,
    ModelStore,
    configure_server_logging,
    server_context,
)
from flags.serving.environment import apply_environment
from flags.serving.gc_freeze import freeze_loaded
from flags.serving.isolated.host import Host
from flags.serving.isolated.pipe import BlockingPipe
from flags.serving.isolated.session import begin_session


@dataclass(frozen=True)
class ChildProgram:
    """The start arguments of the candidate's process."""

    service: str
    """Import string, `module:name`."""
    folder: str
    """Folder for files of single requests."""
    arguments: Mapping[str, Any]
    model_store: ModelStore
    model_aliases: Mapping[str, str]
    dependencies: Mapping[str, str]
    """Addresses of the services that BentoML runs for the sides, by name."""
    development: bool
    gc_freeze: bool
    environment: Mapping[str, str | None]
    """Variables to set (or, if None, to remove) before the service is imported."""
    bento: tuple[str, str]
    """Name and version."""
    worker_index: int | None

    @classmethod
    def of(
        cls,
        service: Service[Any],
        folder: str,
        environment: Mapping[str, str | None] = MappingProxyType({}),
        *,
        gc_freeze: bool = True,
    ) -> "ChildProgram":
        """Describe `service` and this worker; raises BentoMLException if the service has no import
        string.
        """
        return cls(
            service=service.import_string,
            folder=folder,
            arguments=BentoMLContainer.bento_arguments.get(),
            model_store=BentoMLContainer.model_store.get(),
            model_aliases=BentoMLContainer.model_aliases.get(),
            dependencies=BentoMLContainer.remote_runner_mapping.get(),
            development=BentoMLContainer.development_mode.get(),
            gc_freeze=gc_freeze,
            environment=dict(environment),
            bento=(server_context.bento_name, server_context.bento_version),
            worker_index=server_context.worker_index,
        )

    def import_service(self) -> Service[Any]:
        """Configure BentoML as in the worker, and import the service."""
        apply_environment(self.environment)
        configure_server_logging()  # type: ignore[no-untyped-call]
        BentoMLContainer.bento_arguments.set(dict(self.arguments))
        BentoMLContainer.model_store.set(self.model_store)
        BentoMLContainer.model_aliases.set(dict(self.model_aliases))
        BentoMLContainer.remote_runner_mapping.set(dict(self.dependencies))
        BentoMLContainer.development_mode.set(self.development)
        server_context.bento_name, server_context.bento_version = self.bento
        server_context.worker_index = self.worker_index
        server_context.service_type = "service"
        module, _, name = self.service.partition(":")
        service: Service[Any] = getattr(import_module(module), name)
        server_context.service_name = service.name
        service.inject_config()
        return service


def run(program: ChildProgram, end: socket.socket) -> None:
    """Serve the program's service to the other end of the socket, until that is closed."""
    end.set_inheritable(False)  # a handle that was sent is inheritable by default
    _end_with_the_worker()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Only the worker handles these signals: it finishes its requests, then closes the pipe.
        # Not SIG_IGN, which the model's own child processes would inherit.
        signal.signal(number, _ignore_signal)
    with suppress(ConnectionError):
        asyncio.run(_serve(program, BlockingPipe(end)))


async def _serve(program: ChildProgram, pipe: BlockingPipe) -> None:
    on_loaded = freeze_loaded if program.gc_freeze else None
    await Host(program.folder, pipe, on_loaded).serve(program.import_service)


def _ignore_signal(*_: Any) -> None:
    return


def _end_with_the_worker() -> None:
    """Begin a session that the kernel ends when the worker ends."""
    worker = multiprocessing.parent_process()
    if worker is None:
        return
    begin_session(worker.sentinel)
    if not worker.is_alive():  # it ended before the session began
        os._exit(1)
