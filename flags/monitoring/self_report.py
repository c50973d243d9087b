"""The state of this worker: the flag as it sees it, and counts of its pairs."""

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openfeature.client import OpenFeatureClient

from flags.export.pair_files import PairFiles
from flags.monitoring.backlog import Backlog, BacklogWatch, Lag
from flags.monitoring.metrics import CountedPairs
from flags.monitoring.worker_state import (
    CandidateState,
    PairCounts,
    ShippingCounts,
    WorkerFlag,
    WorkerState,
    here,
)
from flags.pairing.tuning import Tuning
from flags.printable import without_credentials
from flags.unleash.provider import FlagFile, FlagServer, UnleashProvider
from flags.unleash.token import token_environment

if TYPE_CHECKING:
    from flags.export.shipper import Shipper


class SelfReport:
    """A function that returns this worker's current state; called on the event loop."""

    def __init__(
        self,
        *,
        worker: str,
        service: str,
        flag: "FlagReader",
        pairs: CountedPairs,
        files: PairFiles,
        candidate: Callable[[], CandidateState] | None = None,
    ) -> None:
        self._worker = worker
        self._service = service
        self._flag = flag
        self._pairs = pairs
        self._files = files
        self._candidate = candidate
        self._lag = Lag()
        self._started = datetime.now(UTC)

    def __call__(self) -> WorkerState:
        """Return the current state."""
        host, pid, namespace = here()
        files = self._files
        waiting, written = files.waiting, files.written
        return WorkerState(
            worker=self._worker,
            service=self._service,
            host=host,
            pid=pid,
            started=self._started,
            heartbeat=datetime.now(UTC),
            flag=self._flag(),
            pairs=PairCounts(
                recorded=self._pairs.recorded,
                waiting=waiting,
                lag_seconds=round(self._lag(waiting, written), 3),
                dropped=dict(files.dropped),
            ),
            pid_namespace=namespace,
            candidate=None if self._candidate is None else self._candidate(),
        )


class ShippingReport:
    """A function that returns the counts of shipping; called in a thread, since it reads files."""

    def __init__(self, shipper: "Shipper") -> None:
        self._shipper = shipper
        self._watch = BacklogWatch(shipper)
        self._last = Backlog()

    def __call__(self) -> ShippingCounts:
        """Return the counts; with the last known backlog if the folder cannot be read."""
        with suppress(OSError):
            self._last = self._watch()
        account, backlog = self._shipper.account, self._last
        return ShippingCounts(
            str(self._shipper.destination),
            shipped=account.shipped,
            rejected=dict(account.rejected),
            retries=dict(account.retries),
            waiting_bytes=backlog.waiting_bytes,
            lag_seconds=round(backlog.lag_seconds, 3),
        )


class FlagReader:
    """A function that reads the state of `flag` from the provider, without an evaluation."""

    def __init__(
        self,
        flag: str,
        client: OpenFeatureClient,
        tunings: Collection[Tuning],
        source: FlagServer | FlagFile | None,
    ) -> None:
        self._flag = flag
        self._client = client
        self._tunings = tunings
        self._source = _source_words(source)
        self._environment = (
            token_environment(source.token) if isinstance(source, FlagServer) else None
        )
        self._since = Since()

    def __call__(self) -> WorkerFlag:
        """Return the provider's view of the flag; if it is not ours, only the provider's state."""
        provider = self._client.provider
        name = provider.get_metadata().name
        if not isinstance(provider, UnleashProvider):
            status = self._client.get_provider_status()
            return WorkerFlag(self._flag, name, str(status.value).lower(), shows_flag=False)
        definition = provider.definition(self._flag) if provider.has_flags else None
        thresholds = {
            output: threshold
            for tuning in self._tunings
            for output, threshold in tuning.thresholds(
                definition.payload if definition else None
            ).items()
        }
        setting = definition and (definition.enabled, definition.rollout, definition.stickiness)
        return WorkerFlag(
            self._flag,
            name,
            provider.state.value,
            source=self._source,
            enabled=definition.enabled if definition else None,
            rollout=definition.rollout if definition else None,
            stickiness=definition.stickiness if definition else None,
            thresholds=thresholds,
            age_seconds=round(provider.age, 3),
            error=provider.error and without_credentials(provider.error),
            warnings=tuple(provider.warnings(self._flag)) if provider.has_flags else (),
            since=self._since((setting, thresholds)),
            project=definition.project if definition else None,
            environment=self._environment,
        )


class Since:
    """The time since which a value has not changed."""

    def __init__(self) -> None:
        self._value: object = None
        self._since: datetime | None = None

    def __call__(self, value: object) -> datetime:
        """Return when a call first had this value, without another value since."""
        if self._since is None or value != self._value:
            self._value, self._since = value, datetime.now(UTC)
        return self._since


def _source_words(source: FlagServer | FlagFile | None) -> str | None:
    if isinstance(source, FlagServer):
        return without_credentials(source.url)
    return str(source.path.absolute()) if source else None
