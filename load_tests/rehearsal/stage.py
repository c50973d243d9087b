"""The environment of the rehearsal: Unleash, the service, its callers, the operator's folder."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from comparison.pairs.reader import read_pairs
from flags.operate.history import History, read_history
from flags.unleash.admin import UnleashAdmin, seed
from flags.unleash.local import LocalUnleash
from load_tests.rehearsal.commands import Commands
from load_tests.rehearsal.downstream import Downstream
from load_tests.rehearsal.people import Person
from load_tests.rehearsal.timeline import Timeline
from load_tests.rehearsal.transactions import Traffic
from load_tests.rehearsal.watch import Watch, watching
from load_tests.steady_load import Reply, SteadyLoad
from service.serving import Serving

FLAG: Final = "fraud-detector-v2"
TARGET: Final = "load_tests.rehearsal.detector:FraudDetector"
ROOT: Final = Path(__file__).parents[2]


@dataclass
class Scenery:
    """Everything that is running, and the folders."""

    folder: Path
    traffic: Traffic
    timeline: Timeline
    unleash: LocalUnleash
    serving: Serving
    load: SteadyLoad
    downstream: Downstream
    person: Person
    commands: Commands
    watch: Watch | None
    """None if Prometheus and Alertmanager are not installed."""
    replies: list[Reply] = field(default_factory=list)

    @property
    def admin(self) -> UnleashAdmin:
        """Unleash, with the token of the tool."""
        return self.unleash.admin

    @property
    def history(self) -> History:
        """The history of the flag, by its event log."""
        return read_history(self.admin, FLAG)[1]

    @property
    def fault(self) -> Path:
        """The file that makes the candidate fail."""
        return self.folder / "fault"

    def stop(self) -> None:
        """End the traffic, then the service, so that it writes its last pairs."""
        self.load.end()
        self.downstream.end()
        self.replies += self.load.taken()
        self.serving.stop()

    def failed(self) -> int:
        """Count the requests without an answer."""
        return sum(reply.status != 200 for reply in self.replies)

    def lost(self) -> int:
        """Count the answers without a pair."""
        found = set(read_pairs(self.folder / "pairs").frame["request_id"])
        return sum(r.status == 200 and r.request_id not in found for r in self.replies)

    def sides(self, since: float) -> Counter[str | None]:
        """Count the answers by side to requests sent since a moment of the wall clock."""
        return Counter(reply.side for reply in self.load.since(since) if reply.status == 200)


@contextmanager
def scenery(folder: Path, traffic: Traffic, timeline: Timeline, rate: float) -> Iterator[Scenery]:
    """Start everything, and stop it afterwards."""
    shutil.copy(Path(__file__).with_name("playbook.yaml"), folder)
    with (
        LocalUnleash(folder / "unleash", port=0, fresh=True) as unleash,
        watching(folder) as watch,
    ):
        seed(unleash.admin, FLAG)
        settings = {
            "UNLEASH_URL": unleash.sdk_url,
            "UNLEASH_API_TOKEN": unleash.client_token,
            "FLAGS_REFRESH_INTERVAL": "1",
            "PAIRS_DIR": str(folder / "pairs"),
            "FAULT_FILE": str(folder / "fault"),
            "SHADOW_CONCURRENCY": "64",
        }
        serving = Serving(TARGET, environment=settings, log=folder / "service.log", folder=ROOT)
        load = SteadyLoad(f"{serving.url}/predict", traffic.body, rate=rate)
        operator = {
            "UNLEASH_URL": unleash.url,
            "UNLEASH_ADMIN_TOKEN": unleash.admin_token,
            "UNLEASH_ENVIRONMENT": unleash.environment,
            "PYTHONPATH": str(ROOT),  # `retire` starts a service from `load_tests`
            **(watch.variables if watch else {}),
        }
        person = Person(unleash)
        with serving, load, Downstream(folder, traffic, load) as downstream:
            yield Scenery(
                folder,
                traffic,
                timeline,
                unleash,
                serving,
                load,
                downstream,
                person,
                Commands(folder, operator),
                watch,
            )
        person.close()
