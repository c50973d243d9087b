"""The OpenFeature provider of Unleash's flags, from a server or a file, with their freshness.

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
from flags.unleash.source import looks_at
from flags.unleash.tracking import CountedEvents, TrackingSink
from flags.unleash.usage import UsageReports

logger = logging.getLogger(__name__)

NAME: Final = "unleash"
_WATCH: Final = 0.5
"""Seconds between two looks of the watchdog at the age of the flags."""


class UnleashProvider(FlagEvaluation):
    """Evaluate flags with Unleash's own engine; READY only once flags are really loaded.

    The provider is STALE when its source confirmed nothing for three refresh intervals (at least
    three seconds), and READY again with the next good answer. With `max_staleness` (seconds) older
    flags are not used at all: callers get their default. `sent` names the context fields that
    callers send, to warn of a flag that is sticky on another one. `track` gets what applications
    track through OpenFeature.

    One thread looks at the source, on the monotonic clock. Another one watches it, so that a look
    that does not end is told of.
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
        self._looks = looks_at(source)
        self._sent = frozenset({TARGETING_FIELD, *sent})
        self._start_timeout = start_timeout
        self._track: TrackingSink = CountedEvents() if track is None else track
        self._clock = clock
        self._freshness = Freshness(max(3.0, 3.0 * source.refresh_interval), max_staleness)
        self._told = State.NOT_READY
        self._told_flags: FlagDocument | None = None
        self._lock = threading.RLock()
        self._starting = False
        self._looked = threading.Event()
        """Set after the first look."""
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._usage = UsageReports(source, self._engine) if isinstance(source, FlagServer) else None

    # --- life cycle -----------------------------------------------------------------------------

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Load the flags; return within `start_timeout` seconds whatever the source does.

        Raises ProviderNotReadyError when there are no flags by then. The provider goes on trying,
        and emits READY when they arrive.
        """
        del evaluation_context  # Unleash has no static part worth sending
        self._freshness.started = self._clock()
        self._starting = True
        for run in (self._keep_looking, self._keep_watching):
            thread = threading.Thread(target=run, name=f"unleash{run.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._looked.wait(self._start_timeout)
        self._starting = False
        if self._freshness.document is None:
            self._told = State.NOT_READY
            self._freshness.bad(self._why())
            self._tell()
            raise ProviderNotReadyError(self._why())
        self._told = self.state
        self._tell()

    def shutdown(self) -> None:
        """Stop looking; what was counted is reported first."""
        self._stopped.set()
        if self._threads and self._usage is not None:
            self._usage.stop()
        for thread in self._threads:
            thread.join(1.0)  # a look that hangs ends by itself
        self._looks.close()

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name=NAME)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Hand a tracked event to the sink; one that fails is logged."""
        try:
            self._track(tracking_event_name, evaluation_context, tracking_event_details)
        except Exception:  # tracking must not change what the application does
            logger.warning("a tracked event was not taken", exc_info=True)

    def track_to(self, sink: TrackingSink) -> None:
        """Hand tracked events to `sink`, unless somebody has said where they go."""
        if isinstance(self._track, CountedEvents):
            self._track = sink

    # --- what can be asked about the flags --------------------------------------------------------

    @property
    def state(self) -> State:
        """Return how fresh the flags are now."""
        return self._freshness.state(self._clock())

    @property
    def has_flags(self) -> bool:
        """Say whether any flags are loaded and still count."""
        return self.state in (State.READY, State.STALE)

    @property
    def age(self) -> float:
        """Return seconds since the source last confirmed the flags."""
        return self._freshness.age(self._clock())

    @property
    def error(self) -> str | None:
        """Return why the last look at the source failed; None after a good one."""
        return self._freshness.error

    @property
    def left_out(self) -> Mapping[str, str]:
        """Return why flags of the source are left out, by their names."""
        document = self._freshness.document
        return document.left_out if document else {}

    def definition(self, flag: str) -> FlagDefinition | None:
        """Return what is known of `flag`; None if the source does not have it."""
        document = self._freshness.document
        return document.flags.get(flag) if document else None

    def warnings(self, flag: str) -> list[str]:
        """Return what is wrong with `flag`, in words; nothing if it is as it should be."""
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

    # --- looking, and telling of it ---------------------------------------------------------------

    def _keep_looking(self) -> None:
        """Look at the source at each interval, whatever a look comes to."""
        if (document := self._looks.kept()) is not None:
            self._freshness.bootstrapped(document)
        if self._usage is not None:
            self._usage.start()
        while not self._stopped.is_set():
            began = time.monotonic()
            self._look()
            self._looked.set()
            self._tell()
            self._stopped.wait(max(0.0, began + self._source.refresh_interval - time.monotonic()))

    def _look(self) -> None:
        before = self._freshness.document
        try:
            document = self._looks.look()
        except FlagSourceError as error:
            self._freshness.bad(str(error))
        except Exception as error:
            logger.exception("a look at %s failed", self._source.where)
            kind = type(error).__name__
            self._freshness.bad(f"{self._source.where} could not be looked at ({kind})")
        else:
            self._freshness.good(self._clock(), document)
            if document and before and document is not before and self._usage is not None:
                self._usage.retired(before.engine)

    def _keep_watching(self) -> None:
        while not self._stopped.wait(_WATCH):
            self._tell()

    def _engine(self) -> UnleashEngine | None:
        document = self._freshness.document
        return document.engine if document else None

    def _tell(self) -> None:
        """Emit events and log lines for what has changed since the last call."""
        with self._lock:
            state, error, flags = self.state, self._freshness.error, self._freshness.document
            if state is State.STALE and error is None:  # a look that does not end
                error = self._freshness.error = self._why()
            self._log.error(error, self._consequence())
            before, self._told_flags = self._told_flags, flags
            is_news = not self._starting and state is not self._told
            if is_news:
                self._told = state
        if flags is not None and flags is not before:
            self._log.left_out(flags.left_out)
            self._tell_changes(before, flags)
        if is_news:
            self._tell_state(state, ProviderEventDetails(message=error))

    def _tell_state(self, state: State, details: ProviderEventDetails) -> None:
        if state is State.READY:
            self.emit_provider_ready(details)
        elif state is State.STALE:
            self.emit_provider_stale(details)
        else:
            self.emit_provider_error(details)

    def _tell_changes(self, before: FlagDocument | None, document: FlagDocument) -> None:
        news = changed(before, document)
        # Of the flags that somebody here asks for: an environment may have hundreds of others.
        asked = [name for name in news if name in self._asked]
        for name in asked:
            if name in document.flags:
                for warning in self.warnings(name):
                    logger.warning("flag %s: %s", name, warning)
        self._log.gone([name for name in asked if name not in document.flags])
        if news and before is not None:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=news))

    def _flags(self) -> tuple[State, FlagDocument | None]:
        return self.state, self._freshness.document

    def _why(self) -> str:
        return self._freshness.error or f"{self._source.where} does not answer"

    def _consequence(self) -> str:
        if self._freshness.document is None:
            return "there are no flags, so the primary answers"
        return "the last good flags stay in use"
