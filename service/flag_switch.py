"""The switch of the demo's flag, in a file or in a real Unleash."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from flags.unleash.flags_file import write_flags_file

FLAG: Final = "fraud-detector-v2"


class FlagSwitch(Protocol):
    """A switch of the demo's flag; methods return after running workers have seen the change."""

    settings: Mapping[str, str]
    """Environment variables that connect the service to the flag."""
    where: str
    """The place of the flag, for people: a file, or its page in the dashboard."""

    def roll_out(self, percent: int) -> None:
        """Set the rollout to `percent`."""
        ...

    def switch_off(self) -> None:
        """Switch the flag off, so that the primary answers everything."""
        ...


class FileSwitch:
    """The flag in a flags file."""

    FOLLOWED_WITHIN: Final = 2.5
    """Seconds until the workers have seen an edit (they poll every second)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.settings: Mapping[str, str] = {"FLAGS_FILE": str(path)}
        self.where = "the flags file"
        write_flags_file(path, FLAG, 0)

    def roll_out(self, percent: int) -> None:
        """Write the rollout."""
        write_flags_file(self._path, FLAG, percent)
        time.sleep(self.FOLLOWED_WITHIN)

    def switch_off(self) -> None:
        """Write that the flag is off."""
        write_flags_file(self._path, FLAG, 0, enabled=False)
        time.sleep(self.FOLLOWED_WITHIN)


@contextmanager
def dashboard_switch(data: Path) -> Iterator[FlagSwitch]:
    """Run a real Unleash with the flag in it; needs the extra `dashboard`."""
    from flags.unleash.admin import UnleashAdmin, seed
    from flags.unleash.local.unleash import LocalUnleash

    class DashboardSwitch:
        FOLLOWED_WITHIN: Final = 3.5
        """Seconds: the server refreshes every second, the workers poll every second."""

        def __init__(self, unleash: LocalUnleash) -> None:
            self._admin: UnleashAdmin = unleash.admin
            self.where = self._admin.flag_url(FLAG)
            self.settings: Mapping[str, str] = {
                "UNLEASH_URL": unleash.sdk_url,
                "UNLEASH_API_TOKEN": unleash.client_token,
                "FLAGS_REFRESH_INTERVAL": "1",
            }
            seed(self._admin, FLAG)

        def roll_out(self, percent: int) -> None:
            self._admin.set_rollout(FLAG, percent)
            time.sleep(self.FOLLOWED_WITHIN)

        def switch_off(self) -> None:
            self._admin.turn_off(FLAG)
            time.sleep(self.FOLLOWED_WITHIN)

    with LocalUnleash(data, port=0) as unleash:
        yield DashboardSwitch(unleash)
