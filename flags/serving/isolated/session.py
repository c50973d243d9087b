"""The session of the candidate's process, which ends as a whole with the worker."""

import atexit
import ctypes
import fcntl
import os
import shutil
import signal
import sys
import warnings
from contextlib import suppress
from multiprocessing import forkserver
from typing import Any, Final

import psutil

# Of <sys/prctl.h>.
_DEATH_SIGNAL: Final = 1
_CHILD_SUBREAPER: Final = 36


def begin_session(worker: int) -> None:
    """Begin a session and process group for this process, which the kernel kills with the worker.

    `worker` is the end of a pipe of `multiprocessing` that closes with the worker. There are two
    ways, because a model may close every file handle, and may start processes. The kernel sends
    SIGKILL to the group when the pipe closes, and to this process when its parent ends, which is
    the fork server and ends with the worker. Unlike a watching thread, both work if a model holds
    the interpreter's lock for ever.
    """
    os.setsid()
    _leave_fork_server()
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)
    fcntl.fcntl(worker, fcntl.F_SETOWN, -os.getpgrp())
    if hasattr(fcntl, "F_SETSIG"):  # Linux; elsewhere the signal is SIGIO, which ends it as well
        fcntl.fcntl(worker, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(worker, fcntl.F_GETFL)
    fcntl.fcntl(worker, fcntl.F_SETFL, flags | os.O_ASYNC)


def end_session(leader: int) -> None:
    """Kill the processes that the candidate's process has left in its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of orphans that candidates leave in other sessions; kill these at exit.

    Called in the fork server, which ends with the worker.
    """
    _prctl(_CHILD_SUBREAPER, 1)
    warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")
    atexit.register(_end_adopted)


def remove_temporary_files() -> None:
    """Remove the worker's temporary folder of `multiprocessing` at exit, with the files in it.

    Called in the fork server, whose socket is in that folder. `multiprocessing` removes the folder
    in a process that ends by itself, but a signal ends a worker, also after an orderly stop.
    """
    atexit.register(_remove_folder)


def _end_adopted() -> None:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()


def _remove_folder() -> None:
    failed = hasattr(sys, "last_type")  # then the worker lives, and starts another fork server
    server: Any = forkserver._forkserver
    if not failed and server._forkserver_address is not None:
        shutil.rmtree(os.path.dirname(server._forkserver_address), ignore_errors=True)


def _leave_fork_server() -> None:
    """Close this process's copy of the handle that keeps the fork server alive.

    `multiprocessing` gives it to child processes. Processes that the model starts would inherit it,
    and so keep the server and themselves alive. A model that uses `forkserver` gets its own server.
    """
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = server._forkserver_address = None


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
