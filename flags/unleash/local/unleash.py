"""A complete Unleash on this machine: Postgres, server, client token and data folder."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from flags.unleash.admin import UnleashAdmin
from flags.unleash.local.data_folder import DataFolder
from flags.unleash.local.packages import Progress
from flags.unleash.local.postgres import Postgres
from flags.unleash.local.server import Server

CLIENT_TOKEN_NAME: Final = "bentoml-flags"  # noqa: S105 - the name of the token, not the token


class LocalUnleash:
    """The real unleash-server with its own Postgres; the data stays in `data` between runs.

    `port` 0 chooses a free one. The very first start installs the server (about 200 MB) and calls
    `on_progress`. Use it as a context manager in the main thread. Every failure is a
    LocalUnleashError, or an AdminError if the server refuses the credentials of the data folder.
    """

    def __init__(
        self,
        data: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 4242,
        environment: str = "development",
        fresh: bool = False,
        on_progress: Progress | None = None,
    ) -> None:
        self.data = DataFolder(data)
        self.environment = environment
        self.postgres = Postgres(self.data.cluster, self.data.postgres_log)
        self.server = Server(host, port, self.data.server_log, on_progress)
        self.client_token = ""
        self._fresh = fresh
        self._admin: UnleashAdmin | None = None

    @property
    def url(self) -> str:
        """Base URL of the dashboard."""
        return self.server.url

    @property
    def sdk_url(self) -> str:
        """URL for SDKs."""
        return f"{self.url}/api"

    @property
    def admin_token(self) -> str:
        """Token of the Admin API."""
        return self.data.credentials().admin_token

    @property
    def admin(self) -> UnleashAdmin:
        """Return a client of the Admin API for this environment; it needs a started server."""
        if self._admin is None:
            self._admin = UnleashAdmin(self.url, self.admin_token, self.environment)
        return self._admin

    def start(self) -> None:
        """Start Postgres and the server, create the client token and write the env files."""
        self.data.open()
        try:
            self.server.prepare()
            if self._fresh:
                self.data.wipe()
            credentials = self.data.credentials()
            self.postgres.start()
            self.server.start(self.postgres.sockets, credentials)
            self.client_token = self.admin.client_token(CLIENT_TOKEN_NAME)
            self.data.write_environments(self.url, self.environment, self.client_token, credentials)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, then Postgres, then release the data folder."""
        with ExitStack() as last_to_first:
            last_to_first.callback(self.data.close)
            last_to_first.callback(self.postgres.close)
            last_to_first.callback(self.server.stop)
            if self._admin is not None:
                last_to_first.callback(self._admin.close)
                self._admin = None

    def restart_server(self) -> None:
        """Start the server again after it was stopped or killed."""
        self.server.start(self.postgres.sockets, self.data.credentials())

    def check(self) -> None:
        """Raise ProgramFailedError if Postgres or the server has stopped by itself."""
        self.postgres.check()
        self.server.check()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
