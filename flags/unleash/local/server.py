"""unleash-server on Node, against a local Postgres."""

import errno
import http.client
import os
import socket
import time
from pathlib import Path
from typing import Final

from flags.unleash.local import postgres
from flags.unleash.local.credentials import Credentials
from flags.unleash.local.errors import PortInUseError
from flags.unleash.local.packages import Progress, node, unleash_server
from flags.unleash.local.program import Program

ADMIN_USER: Final = "admin"

_READY_SECONDS: Final = 120.0
_TOKEN_SECONDS: Final = 10.0
_TOKEN_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 5.0


class Server:
    """One unleash-server process."""

    def __init__(self, host: str, port: int, log: Path, on_progress: Progress | None) -> None:
        self._host = host
        self._port = port or free_port(host)
        self._on_progress = on_progress
        self._program = Program("unleash-server", log=log)

    @property
    def url(self) -> str:
        """Base URL on this machine, without `/api`."""
        host = self._local_host()
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._program.pid

    def prepare(self) -> None:
        """Check the port, then install missing packages (up to a minute)."""
        self._check_port()
        unleash_server(self._on_progress)

    def start(self, sockets: Path, credentials: Credentials) -> None:
        """Start with the Postgres whose socket is in `sockets`; return when the server answers."""
        script = unleash_server()
        self._check_port()
        environment = self._environment(sockets, credentials)
        self._program.start([str(node()), str(script)], environment=environment)
        self._program.wait_until(self._answers, _READY_SECONDS)
        self._wait_for_token(credentials.admin_token)

    def stop(self) -> None:
        """Let running requests finish and stop."""
        self._program.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """Kill it, as in a crash."""
        self._program.kill()

    def check(self) -> None:
        """Raise ProgramFailedError if the server no longer runs."""
        if self.pid is None:
            raise self._program.failure("stopped by itself")

    def _environment(self, sockets: Path, credentials: Credentials) -> dict[str, str]:
        """Return all variables. None is inherited: DATABASE_URL could name another database.

        The log level is above `info`, at which unleash-server writes the password into its log.
        """
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "TZ": "UTC",
            "NODE_ENV": "production",
            "LOG_LEVEL": "warn",
            "HTTP_HOST": self._host,
            "HTTP_PORT": str(self._port),
            "UNLEASH_URL": self.url,
            "UNLEASH_SECRET": credentials.session_secret,
            "UNLEASH_DEFAULT_ADMIN_USERNAME": ADMIN_USER,
            "UNLEASH_DEFAULT_ADMIN_PASSWORD": credentials.admin_password,
            "INIT_ADMIN_API_TOKENS": credentials.admin_token,
            "DATABASE_HOST": str(sockets),
            "DATABASE_USERNAME": postgres.USER,
            "DATABASE_NAME": postgres.DATABASE,
            "DATABASE_SSL": "false",
            "CHECK_VERSION": "false",
            "SEND_TELEMETRY": "false",
        }

    def _check_port(self) -> None:
        try:
            _bind(self._host, self._port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortInUseError(
                    f"cannot listen on {self._host}:{self._port}: {error}"
                ) from error
            raise PortInUseError(
                f"port {self._port} is in use: stop what listens there, or give another --port"
            ) from None

    def _wait_for_token(self, token: str) -> None:
        """Wait until a started server accepts its own admin token, or the time is over.

        On a busy machine it answers 401 while its connections to Postgres are being opened. If the
        token stays unknown, our client raises the error.
        """
        deadline = time.monotonic() + _TOKEN_SECONDS
        while not self._answers("/api/admin/environments", token) and time.monotonic() < deadline:
            self.check()
            time.sleep(_TOKEN_POLL_SECONDS)

    def _answers(self, path: str = "/health", token: str | None = None) -> bool:
        connection = http.client.HTTPConnection(self._local_host(), self._port, timeout=2)
        try:
            connection.request("GET", path, headers={"Authorization": token} if token else {})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _local_host(self) -> str:
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
        return everywhere.get(self._host, self._host)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free at this moment."""
    return _bind(host, 0)


def _bind(host: str, port: int) -> int:
    """Bind a socket, close it, and return the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As Node does: old connections of a server that has just ended do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        bound: int = probe.getsockname()[1]
        return bound
