"""The private folder of a local Unleash: its database, its secrets and its logs."""

import shlex
import shutil
from pathlib import Path

from flags.unleash.local.credentials import Credentials, write_private
from flags.unleash.local.errors import DataFolderError, DataFolderForeignError, DataFolderInUseError
from flags.unleash.local.lock import FileLock


class DataFolder:
    """The data folder (mode 0700) and its files, locked by one running dashboard at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cluster = path / "postgres"
        self.postgres_log = path / "postgres.log"
        self.server_log = path / "unleash.log"
        self.password = path / "password"
        self.service_environment = path / "unleash.env"
        self.admin_environment = path / "admin.env"
        self._credentials = path / "credentials.json"
        self._lock = FileLock(path / "lock")

    def open(self) -> None:
        """Create the folder or reuse an earlier one, and lock it. Raises DataFolderError.

        A folder with foreign files is refused, because its mode would change to 0700.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (foreign := self._foreign_entry()) is not None:
                raise DataFolderForeignError(
                    f"{self.path} holds {foreign}, which no dashboard has written: "
                    "give a new or empty folder with --data"
                )
            self.path.chmod(0o700)
            locked = self._lock.acquire(wait=False)
        except OSError as error:
            raise DataFolderError(f"cannot use {self.path} as data folder: {error}") from error
        if not locked:
            raise DataFolderInUseError(
                f"{self.path} is in use by another dashboard (process {self._lock.holder()}): "
                "stop that one, or give another folder with --data"
            )

    def close(self) -> None:
        """Release the lock on the folder."""
        self._lock.release()

    def wipe(self) -> None:
        """Remove database, secrets and logs. The folder must be open (locked)."""
        for path in self._entries():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def credentials(self) -> Credentials:
        """Return the secrets of this folder; generate and save them if it is new.

        unleash-server accepts them only with an empty database, so a database without its secrets
        raises DataFolderError.
        """
        if self._credentials.exists():
            return Credentials.load(self._credentials)
        if self.cluster.exists():
            raise DataFolderError(
                f"{self.path} holds a database without its credentials: start with --fresh"
            )
        credentials = Credentials.generate()
        credentials.save(self._credentials)
        return credentials

    def write_environments(
        self, url: str, environment: str, client_token: str, credentials: Credentials
    ) -> None:
        """Write two files for a shell to source, for service and operator, and the password."""
        sdk_url = f"{url}/api"
        self._write_environment(
            self.service_environment, UNLEASH_URL=sdk_url, UNLEASH_API_TOKEN=client_token
        )
        self._write_environment(
            self.admin_environment,
            UNLEASH_URL=sdk_url,
            UNLEASH_ENVIRONMENT=environment,
            UNLEASH_ADMIN_TOKEN=credentials.admin_token,
        )
        write_private(self.password, f"{credentials.admin_password}\n")

    @staticmethod
    def _write_environment(path: Path, **variables: str) -> None:
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        write_private(path, "".join(lines))

    def _entries(self) -> tuple[Path, ...]:
        return (
            self.cluster,
            self.cluster.with_name("postgres.partial"),
            self.cluster.with_name("socket"),
            self.postgres_log,
            self.server_log,
            self.password,
            self.service_environment,
            self.admin_environment,
            self._credentials,
        )

    def _foreign_entry(self) -> str | None:
        ours = {path.name for path in self._entries()} | {"lock"}
        partials = {f".{name}.partial" for name in ours}
        names = sorted(path.name for path in self.path.iterdir())
        return next((name for name in names if name not in ours | partials), None)
