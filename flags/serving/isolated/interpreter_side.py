"""The side of a candidate that another interpreter runs, in a process beside each worker.

The process is a server at a Unix socket, and the side treats it like a remote candidate: values
travel in a form that does not depend on the versions of libraries.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flags.serving.bentoml_private import APIMethod, BentoMLContainer
from flags.serving.isolated.environment import OwnEnvironment
from flags.serving.remote.address import Remote
from flags.serving.remote.link import LocalProcess
from flags.serving.remote.link_settings import LinkSettings
from flags.serving.remote.side import RemoteSide

logger = logging.getLogger(__name__)

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")

_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
"""Seconds between two starts of a process that cannot be loaded or ends; doubled each time."""

_LONG_LIFE: Final = 60.0
"""Seconds of running after which the delay starts anew."""

_GRACE: Final = 5.0
"""Seconds that a process gets to end after SIGTERM."""


class InterpreterSide(RemoteSide):
    """A side in a process of another interpreter, which this class starts and restarts."""

    def __init__(
        self,
        environment: OwnEnvironment,
        apis: Sequence[APIMethod[..., Any]],
        settings: LinkSettings,
        *,
        connections: int,
        start_within: float,
    ) -> None:
        self._environment = environment
        self._start_within = start_within
        self._socket_folder = ""
        self._listening: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        super().__init__(
            Remote("http://candidate", name=environment.label),
            apis,
            settings,
            connections=connections,
            process=LocalProcess(
                str(environment), lambda: f"{self._socket_folder}/socket", self._replace
            ),
        )

    async def start(self) -> None:
        """Start the process, and wait until its service is loaded or has failed to load."""
        self._socket_folder = tempfile.mkdtemp(prefix="bentoml-flags-")  # of this user alone
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(f"{self._socket_folder}/socket")
        self._listening.listen(128)
        await super().start()
        tried = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(tried))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._start_within):
                await tried.wait()

    async def stop(self) -> None:
        """End the process, and close the connections to it."""
        await super().stop()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._listening is not None:
            self._listening.close()
        shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _replace(self) -> None:
        """Kill a process whose calls get no answer, so that a new one is started."""
        if self._process is not None:
            _kill(self._process)

    async def _keep(self, tried: asyncio.Event) -> None:
        """Run processes one after another, until cancelled; set `tried` after the first load."""
        delay, loop = _DELAY, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                reason = await self._run(tried)
            except Exception as error:  # the candidate's trouble alone, and said in the log
                reason = f"its interpreter could not be made or started: {error}"
            logger.error("the candidate %s: %s", self._environment, reason)
            self.process_ended(reason)
            tried.set()
            if loop.time() - began > _LONG_LIFE:
                delay = _DELAY
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _run(self, tried: asyncio.Event) -> str:
        """Run one process to its end; return why it ended."""
        assert self._listening is not None  # noqa: S101 - the side was started
        environment = self._environment
        python = await asyncio.to_thread(environment.interpreter)
        alive, keep_alive = os.pipe()
        reading_end, report = os.pipe()
        handles = (self._listening.fileno(), alive, report)
        try:
            process = await asyncio.create_subprocess_exec(
                python,
                _LAUNCHER,
                environment.target,
                str(BentoMLContainer.model_store.get()._path),
                json.dumps(dict(BentoMLContainer.model_aliases.get())),
                *map(str, handles),
                stdin=asyncio.subprocess.DEVNULL,
                env=environment.variables(os.environ),
                pass_fds=handles,
                start_new_session=True,
            )
        except BaseException:
            os.close(keep_alive)
            os.close(reading_end)
            raise
        finally:
            os.close(alive)
            os.close(report)
        self._process = process
        try:
            loaded = await _read_report(reading_end)
            if (models := loaded.get("models")) is not None:
                logger.info("the candidate %s runs in process %d", environment.target, process.pid)
                await self.process_loaded("+".join(models) or None)
                tried.set()
            code = await process.wait()
            return str(loaded.get("error") or f"its process {process.pid} ended with {code}")
        finally:
            self._process = None
            await _end(process)
            os.close(keep_alive)


async def _read_report(handle: int) -> dict[str, Any]:
    """Return the report of the process; empty if it ends without one."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(handle, "rb")
    )
    try:
        report = json.loads(await reader.readline())
    except ValueError:
        return {}
    finally:
        transport.close()
    return report if isinstance(report, dict) else {}


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End `process` and the processes that it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await process.wait()
    _kill(process)
    await process.wait()
