"""The OpenFeature provider of Unleash's flags, from a server or a file, with their freshness.

An ordinary OpenFeature provider, usable without BentoML:

    api.set_provider(UnleashProvider(FlagServer(url, token)))
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata
from requests.exceptions import InvalidHeader
from UnleashClient import UnleashClient

from flags.unleash.client import FlagFile as FlagFile
from flags.unleash.client import FlagServer as FlagServer
from flags.unleash.client import make_client, why_nothing_came
from flags.unleash.document import FlagDefinition, FlagDocument, stickiness_warning
from flags.unleash.freshness import Freshness, State
from flags.unleash.resolution import (
    TARGETING_FIELD,
    evaluated,
    failed,
    json_payload_of,
    metadata_of,
    off_for_all,
    on_off,
    payload_of,
    reason_of,
    unleash_context,
)

logger = logging.getLogger(__name__)

NAME: Final = "unleash"
_NAMED: Final = 5
"""Flags that a log line names."""

_UNASKED: Final = 100_000
"""Answers without the engine that can wait to be counted; once a second, all of them are."""

_REASONS: Final = 5
"""Reasons that are logged until the source is good again, should it find new ones at each look."""

_DIAGNOSIS_KEPT: Final = 30.0
"""Seconds until a server that goes on giving nothing is asked again why."""

T = TypeVar("T")


class UnleashProvider(AbstractProvider):
    """Evaluate flags with Unleash's own engine; READY only once flags are really loaded.

    The provider is STALE when its source confirmed nothing for three refresh intervals (at least
    three seconds), and READY again with the next good answer. With `max_staleness` (seconds) older
    flags are not used at all: callers get their default. `sent` names the context fields that
    callers send, to warn of a flag that is sticky on another one.
    """

    def __init__(
        self,
        source: FlagFile | FlagServer,
        *,
        sent: Sequence[str] = ("userId", "sessionId"),
        max_staleness: float | None = None,
        start_timeout: float = 2.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._source = source
        self._sent = frozenset({TARGETING_FIELD, *sent})
        self._start_timeout = start_timeout
        self._clock = clock
        self._freshness = Freshness(max(3.0, 3.0 * source.refresh_interval), max_staleness)
        self._told = State.NOT_READY
        self._told_errors: set[str] = set()
        self._diagnosed = float("-inf")
        self._told_flags: FlagDocument | None = None
        self._asked: set[str] = set()
        self._unasked: deque[str] = deque(maxlen=_UNASKED)
        """Flags that were answered without the engine, once for each answer not counted yet."""
        self._arriving = False
        self._lock = threading.RLock()
        self._client: UnleashClient | None = None
        self._starting = False

    # --- life cycle -----------------------------------------------------------------------------

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Load the flags; return within `start_timeout` seconds whatever the source does.

        Raises ProviderNotReadyError when there are no flags by then. The provider goes on trying,
        and emits READY when they arrive.
        """
        del evaluation_context  # Unleash has no static part worth sending
        self._freshness.started = self._clock()
        self._starting = True
        self._client = make_client(
            self._source, loaded=self._loaded, looked=self._looked, each_second=self._each_second
        )
        self._arriving = False
        starter = threading.Thread(target=self._start, name="unleash-start", daemon=True)
        starter.start()
        starter.join(self._start_timeout)
        self._starting = False
        if self._freshness.document is None:
            self._told = State.NOT_READY
            self._freshness.bad(self._why())
            self._tell()
            raise ProviderNotReadyError(self._why())
        self._told = self.state

    def shutdown(self) -> None:
        """Stop refreshing."""
        if self._client is not None:
            self._count(self._client)
            self._client.destroy()

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name=NAME)

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

    def definition(self, flag: str) -> FlagDefinition | None:
        """Return what is known of `flag`; None if the source does not have it."""
        document = self._freshness.document
        return document.flags.get(flag) if document else None

    def warnings(self, flag: str) -> list[str]:
        """Return what is wrong with `flag`, in words; nothing if it is as it should be."""
        definition = self.definition(flag)
        if definition is None:
            return [f"flag {flag} does not exist in {self._source.where}: the primary answers"]
        sticky = stickiness_warning(definition, self._sent)
        return [*definition.warnings, *([sticky] if sticky else [])]

    # --- evaluation -------------------------------------------------------------------------------

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Say whether the flag is on."""
        return self._resolve(
            flag_key, default_value, evaluation_context, lambda found: found["feature_enabled"]
        )

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return the variant's payload as it is."""
        return self._resolve(flag_key, default_value, evaluation_context, payload_of)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Return the variant's payload as an integer."""
        return self._resolve(
            flag_key, default_value, evaluation_context, lambda found: int(payload_of(found))
        )

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Return the variant's payload as a float."""
        return self._resolve(
            flag_key, default_value, evaluation_context, lambda found: float(payload_of(found))
        )

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Return the variant's JSON payload, an object or an array."""
        return self._resolve(flag_key, default_value, evaluation_context, json_payload_of)

    def _resolve(
        self,
        flag_key: str,
        default: T,
        context: EvaluationContext | None,
        read: Callable[[dict[str, Any]], T],
    ) -> FlagResolutionDetails[T]:
        self._asked.add(flag_key)
        state = self.state
        if state in (State.NOT_READY, State.EXPIRED) or self._client is None:
            return failed(default, ErrorCode.PROVIDER_NOT_READY, self._why())
        definition = self.definition(flag_key)
        if definition is None:
            message = f"flag {flag_key} does not exist in {self._source.where}"
            return failed(default, ErrorCode.FLAG_NOT_FOUND, message)
        found = off_for_all(definition)
        if found is None:
            found = evaluated(self._client, definition, unleash_context(context))
        elif isinstance(self._source, FlagServer):
            self._unasked.append(flag_key)  # no lock: others hold it while they log
        try:
            value = read(found)
        except (KeyError, TypeError, ValueError) as error:
            message = f"the payload of flag {flag_key} is not of the type asked for: {error}"
            return failed(default, ErrorCode.TYPE_MISMATCH, message)
        variant = found["name"] if found["enabled"] else on_off(found["feature_enabled"])
        return FlagResolutionDetails(
            value,
            reason=reason_of(definition, state),
            variant=variant,
            flag_metadata=metadata_of(definition, found),
        )

    def _count(self, client: UnleashClient) -> None:
        """Have the engine count what it was not asked, for Unleash's page on a flag's usage."""
        with suppress(IndexError):
            while True:
                client.is_enabled(self._unasked.popleft())

    # --- the client and what it reports -----------------------------------------------------------

    def _start(self) -> None:
        assert self._client is not None  # noqa: S101 - made just before this thread was started
        try:
            self._client.initialize_client(fetch_toggles=isinstance(self._source, FlagServer))
        except InvalidHeader:  # its message quotes the token
            self._loaded(
                None, f"{self._source.where} cannot be asked: no header can hold the token"
            )
        except Exception as error:  # a malformed URL; the client says which
            self._loaded(None, f"{self._source.where} cannot be asked: {error}")
        self._looked()

    def _each_second(self) -> None:
        self._tell()
        if self._client is not None:
            self._count(self._client)

    def _loaded(self, document: FlagDocument | None, error: str | None) -> None:
        with self._lock:
            self._arriving = True
            if error is not None:
                self._freshness.bad(error)
            elif self._client is None and document is not None:
                self._freshness.bootstrapped(document)  # the client is being made: it read a cache
            else:
                self._freshness.good(self._clock(), document)

    def _looked(self) -> None:
        """Tell of a look at the source, after the client's engine has taken over what it gave."""
        if not self._arriving and isinstance(self._source, FlagServer):
            self._diagnose(self._source)
        self._arriving = False
        self._tell()

    def _diagnose(self, server: FlagServer) -> None:
        now = self._clock()
        if self._freshness.error is None or now - self._diagnosed > _DIAGNOSIS_KEPT:
            self._diagnosed = now
            if (reason := why_nothing_came(server)) is not None:
                self._freshness.bad(reason)

    def _tell(self) -> None:
        """Emit events and log lines for what has changed since the last call."""
        with self._lock:
            if self._arriving:
                return
            state, error, flags = self.state, self._freshness.error, self._freshness.document
            if state is State.STALE and error is None:  # a look that does not end
                error = self._freshness.error = self._why()
            self._tell_error(error)
            before, self._told_flags = self._told_flags, flags
            is_news = not self._starting and state is not self._told
            if is_news:
                self._told = state
        if flags is not None and flags is not before:
            self._tell_changes(before, flags)
        if is_news:
            self._tell_state(state, ProviderEventDetails(message=error))

    def _tell_error(self, error: str | None) -> None:
        """Log each reason once while the source is bad, and once that it is good again."""
        if error is None:
            if self._told_errors:
                logger.warning("%s is good again", self._source.where)
            self._told_errors.clear()
        elif error not in self._told_errors and len(self._told_errors) < _REASONS:
            self._told_errors.add(error)
            logger.warning("%s; %s", error, self._consequence())

    def _tell_state(self, state: State, details: ProviderEventDetails) -> None:
        if state is State.READY:
            self.emit_provider_ready(details)
        elif state is State.STALE:
            self.emit_provider_stale(details)
        else:
            self.emit_provider_error(details)

    def _tell_changes(self, before: FlagDocument | None, document: FlagDocument) -> None:
        old = before.flags if before else {}
        changed = [
            name
            for name in {*old, *document.flags}
            if _content(old, name) != _content(document.flags, name)
        ]
        # Of the flags that somebody here asks for: an environment may have hundreds of others.
        asked = [name for name in changed if name in self._asked]
        for name in asked:
            if name in document.flags:
                for warning in self.warnings(name):
                    logger.warning("flag %s: %s", name, warning)
        if gone := [name for name in asked if name not in document.flags]:
            logger.warning("%s no longer has %s", self._source.where, _listed(gone))
        if changed and before is not None:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))

    def _why(self) -> str:
        return self._freshness.error or f"{self._source.where} does not answer"

    def _consequence(self) -> str:
        if self._freshness.document is None:
            return "there are no flags, so the primary answers"
        return "the last good flags stay in use"


def _listed(flags: Sequence[str]) -> str:
    named = ", ".join(sorted(flags)[:_NAMED])
    kind = "the flag" if len(flags) == 1 else f"{len(flags)} flags:"
    return f"{kind} {named}{', ...' if len(flags) > _NAMED else ''}; callers get their default"


def _content(flags: Mapping[str, FlagDefinition], name: str) -> str | None:
    return flags[name].content if name in flags else None
