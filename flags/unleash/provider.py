"""The OpenFeature provider of Unleash flags, which come from a server or a file.

An ordinary OpenFeature provider, usable without BentoML:

    api.set_provider(UnleashProvider(FlagServer(url, token)))
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ProviderNotReadyError
from openfeature.provider import Metadata
from openfeature.track import TrackingEventDetails
from yggdrasil_engine.engine import UnleashEngine

from flags.errors import FlagSourceError
from flags.unleash.definition import FlagDefinition, stickiness_warning
from flags.unleash.document import FlagDocument
from flags.unleash.evaluation import FlagEvaluation
from flags.unleash.flag_log import FlagLog, changed, listed
from flags.unleash.freshness import Freshness, State
from flags.unleash.resolution import TARGETING_FIELD
from flags.unleash.source import FlagFile as FlagFile
from flags.unleash.source import FlagServer as FlagServer
from flags.unleash.source import poller
from flags.unleash.tracking import CountedEvents, TrackingSink
from flags.unleash.usage import UsageReports

logger = logging.getLogger(__name__)

NAME: Final = "unleash"
_WATCHDOG_INTERVAL: Final = 0.5
"""Seconds between two checks of the flags' age by the watchdog."""


class UnleashProvider(FlagEvaluation):
    """A provider that evaluates flags with Unleash's own engine; READY once flags are loaded.

    It is STALE if its source has not confirmed the flags for three refresh intervals (at least
    three seconds), and READY again after the next valid answer. Flags older than `max_staleness`
    (seconds) are not used: callers get their default. `sent` names the context fields that callers
    send; a flag with the stickiness of another field causes a warning. `track` receives the events
    that applications track through OpenFeature.

    One thread polls the source, on the monotonic clock. A second one, the watchdog, reports a poll
    that does not end.
    """

    def __init__(
        self,
        source: FlagFile | FlagServer,
        *,
        sent: Sequence[str] = ("userId", "sessionId"),
        max_staleness: float | None = None,
        start_timeout: float = 2.5,
        track: TrackingSink | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source.where, counts=isinstance(source, FlagServer))
        self._source = source
        self._log = FlagLog(source.where)
        self._poller = poller(source)
        self._sent = frozenset({TARGETING_FIELD, *sent})
        self._start_timeout = start_timeout
        self._track: TrackingSink = CountedEvents() if track is None else track
        self._clock = clock
        self._freshness = Freshness(max(3.0, 3.0 * source.refresh_interval), max_staleness)
        self._reported = State.NOT_READY
        self._reported_flags: FlagDocument | None = None
        self._lock = threading.RLock()
        self._starting = False
        self._polled = threading.Event()
        """Set after the first poll."""
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._usage = UsageReports(source, self._engine) if isinstance(source, FlagServer) else None

    # --- life cycle -----------------------------------------------------------------------------

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Load the flags; return within `start_timeout` seconds, whatever the source does.

        Raises ProviderNotReadyError if there are no flags by then. The provider goes on polling,
        and emits READY when flags arrive.
        """
        del evaluation_context  # the provider needs no static context
        self._freshness.started = self._clock()
        self._starting = True
        for run in (self._keep_polling, self._watchdog):
            thread = threading.Thread(target=run, name=f"unleash{run.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._polled.wait(self._start_timeout)
        self._starting = False
        if self._freshness.document is None:
            self._reported = State.NOT_READY
            self._freshness.bad(self._why())
            self._report()
            raise ProviderNotReadyError(self._why())
        self._reported = self.state
        self._report()

    def shutdown(self) -> None:
        """Send the last usage report and stop polling."""
        self._stopped.set()
        if self._threads and self._usage is not None:
            self._usage.stop()
        for thread in self._threads:
            thread.join(1.0)  # a poll that hangs ends by itself
        self._poller.close()

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name=NAME)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Pass a tracked event to the sink; its errors are logged."""
        try:
            self._track(tracking_event_name, evaluation_context, tracking_event_details)
        except Exception:  # tracking must not change what the application does
            logger.warning("a tracked event was not taken", exc_info=True)

    def track_to(self, sink: TrackingSink) -> None:
        """Pass tracked events to `sink`, unless the constructor was given a sink."""
        if isinstance(self._track, CountedEvents):
            self._track = sink

    # --- state and definitions of the flags -------------------------------------------------------

    @property
    def state(self) -> State:
        """Return the current freshness of the flags."""
        return self._freshness.state(self._clock())

    @property
    def has_flags(self) -> bool:
        """Say whether flags are loaded and not expired."""
        return self.state in (State.READY, State.STALE)

    @property
    def age(self) -> float:
        """Return the seconds since the source last confirmed the flags."""
        return self._freshness.age(self._clock())

    @property
    def error(self) -> str | None:
        """Return why the last poll of the source failed; None if it succeeded."""
        return self._freshness.error

    @property
    def left_out(self) -> Mapping[str, str]:
        """Return the reasons why flags of the source are left out, by flag name."""
        document = self._freshness.document
        return document.left_out if document else {}

    def definition(self, flag: str) -> FlagDefinition | None:
        """Return the definition of `flag`; None if the source does not have it."""
        document = self._freshness.document
        return document.flags.get(flag) if document else None

    def warnings(self, flag: str) -> list[str]:
        """Return the problems of `flag` in words, and that other flags are left out."""
        definition = self.definition(flag)
        left_out = self.left_out
        if flag in left_out:
            return [f"flag {flag} is left out, so the primary answers: {left_out[flag]}"]
        others = [f"left out is {listed(left_out)}"] if left_out else []
        if definition is None:
            return [
                *others,
                f"flag {flag} does not exist in {self._source.where}: the primary answers",
            ]
        sticky = stickiness_warning(definition, self._sent)
        return [*definition.warnings, *([sticky] if sticky else []), *others]

    # --- polling, events and log lines ------------------------------------------------------------

    def _keep_polling(self) -> None:
        """Poll the source at each interval, whatever the result."""
        if (document := self._poller.cached()) is not None:
            self._freshness.bootstrapped(document)
        if self._usage is not None:
            self._usage.start()
        while not self._stopped.is_set():
            began = time.monotonic()
            self._poll()
            self._polled.set()
            self._report()
            self._stopped.wait(max(0.0, began + self._source.refresh_interval - time.monotonic()))

    def _poll(self) -> None:
        before = self._freshness.document
        try:
            document = self._poller.poll()
        except FlagSourceError as error:
            self._freshness.bad(str(error))
        except Exception as error:
            logger.exception("%s could not be polled", self._source.where)
            kind = type(error).__name__
            self._freshness.bad(f"{self._source.where} could not be polled ({kind})")
        else:
            self._freshness.good(self._clock(), document)
            if document and before and document is not before and self._usage is not None:
                self._usage.collect(before.engine)

    def _watchdog(self) -> None:
        while not self._stopped.wait(_WATCHDOG_INTERVAL):
            self._report()

    def _engine(self) -> UnleashEngine | None:
        document = self._freshness.document
        return document.engine if document else None

    def _report(self) -> None:
        """Emit events and write log lines for all changes since the last call."""
        with self._lock:
            state, error, flags = self.state, self._freshness.error, self._freshness.document
            if state is State.STALE and error is None:  # a poll that does not end
                error = self._freshness.error = self._why()
            self._log.error(error, self._consequence())
            before, self._reported_flags = self._reported_flags, flags
            is_new_state = not self._starting and state is not self._reported
            if is_new_state:
                self._reported = state
        if flags is not None and flags is not before:
            self._log.left_out(flags.left_out)
            self._report_changes(before, flags)
        if is_new_state:
            self._report_state(state, ProviderEventDetails(message=error))

    def _report_state(self, state: State, details: ProviderEventDetails) -> None:
        if state is State.READY:
            self.emit_provider_ready(details)
        elif state is State.STALE:
            self.emit_provider_stale(details)
        else:
            self.emit_provider_error(details)

    def _report_changes(self, before: FlagDocument | None, document: FlagDocument) -> None:
        names = changed(before, document)
        # Log only flags that this process evaluates: an environment may have hundreds of others.
        evaluated = [name for name in names if name in self._evaluated]
        for name in evaluated:
            if name in document.flags:
                for warning in self.warnings(name):
                    logger.warning("flag %s: %s", name, warning)
        self._log.gone([name for name in evaluated if name not in document.flags])
        if names and before is not None:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=names))

    def _flags(self) -> tuple[State, FlagDocument | None]:
        return self.state, self._freshness.document

    def _why(self) -> str:
        return self._freshness.error or f"{self._source.where} does not answer"

    def _consequence(self) -> str:
        if self._freshness.document is None:
            return "there are no flags, so the primary answers"
        return "the last good flags stay in use"
