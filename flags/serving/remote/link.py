"""The link to a remote candidate: its availability, and the check of its schema."""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from bentoml.exceptions import BentoMLException

from flags.errors import ApiMismatchError, SideDownError
from flags.monitoring.worker_state import CandidateState
from flags.serving.bentoml_private import APIMethod
from flags.serving.remote.address import Remote
from flags.serving.remote.breaker import CircuitBreaker
from flags.serving.remote.documents import ServerDocuments
from flags.serving.remote.link_settings import LinkSettings
from flags.serving.remote.resolver import OwnResolver
from flags.serving.remote.schema import routes_by_name, schema_differences

logger = logging.getLogger(__name__)

CHECK_TIMEOUT: Final = 2.0
"""Seconds for one check of the server; a worker's start waits for the first check."""

_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 2.0
"""Seconds between two checks of a server that cannot be used; doubled with each."""

_MIN_INTERVAL: Final = 1.0
"""Least seconds between two checks of a server in use, even if its answers are suspicious."""

_IDLE: Final = 4.0
"""Seconds for which an idle connection is kept: BentoML's server closes it after 5."""

_NO_ANSWER: Final = (
    asyncio.CancelledError,  # the time limit is over
    aiohttp.ClientError,
    OSError,
    SideDownError,
)

_TLS_OBJECT: Final = re.compile(r" ssl:(<[^>]*>|\S+)")
"""Part of aiohttp's message about a failed connection: an object with its address in memory, which
differs each time."""

_SUGGESTS_OTHER_SCHEMA: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
"""Statuses after which the schema is checked."""


class LinkState(StrEnum):
    """Whether a server can be called."""

    UNCHECKED = "unchecked"
    READY = "ready"
    AWAY = "away"
    OTHER_SCHEMA = "other schema"


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """A server that is a process of this worker, at a Unix socket."""

    label: str
    """Text that operators see in place of an address."""
    socket: Callable[[], str]
    """Return the path of the socket."""
    replace: Callable[[], None]
    """Kill a process that hangs, so that a new one is started."""


class RemoteLink:
    """Check the server regularly, and refuse calls that it cannot answer.

    Only methods that refuse a call raise: the service starts, and the primary answers, whether the
    server is reachable or not.
    """

    def __init__(
        self,
        remote: Remote,
        apis: Sequence[APIMethod[..., Any]],
        settings: LinkSettings,
        *,
        process: LocalProcess | None = None,
    ) -> None:
        """Link to `remote`, which must have `apis`; with a `process`, it belongs to this worker."""
        self.remote = remote
        self._process = process
        self._label = remote.url if process is None else process.label
        self._tags: str | None = None
        self._is_up = process is None
        """False while a process of this worker does not run, so that there is nothing to check."""
        self.settings = settings
        self.model = remote.label
        """The tag of the model; the label of `remote` until the server has reported one."""
        self.tls: ssl.SSLContext | bool = True
        self._apis = apis
        self._breaker = CircuitBreaker(settings.failures)
        self._state = LinkState.UNCHECKED
        self._routes: Mapping[str, Mapping[str, Any]] = {}
        self._reason = ""
        self._answered = 0
        self._check_requested = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session. Raises SideDownError if the link was not started."""
        if self._session is None:
            raise SideDownError(f"the candidate {self.remote.url} is not connected")
        return self._session

    @property
    def is_ready(self) -> bool:
        """Say whether calls can be made."""
        return self._state is LinkState.READY and not self._breaker.is_open

    def report(self) -> CandidateState:
        """Return the state for operators."""
        if self._state is LinkState.READY and self._breaker.is_open:
            return CandidateState(self._label, "failing", self.model, self._breaker_message())
        return CandidateState(self._label, self._state.value, self.model, self._reason or None)

    async def start(self) -> None:
        """Connect, make the first check (`CHECK_TIMEOUT` seconds at most), and go on checking."""
        self._session = aiohttp.ClientSession(
            connector=self._connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        if self._process is None:
            await self._check_server()
        self._watching = asyncio.create_task(self._watch())

    def _connector(self) -> aiohttp.BaseConnector:
        if self._process is not None:
            return aiohttp.UnixConnector(self._process.socket(), limit=0)
        return aiohttp.TCPConnector(  # without a limit, because Connections has one
            limit=0, keepalive_timeout=_IDLE, resolver=OwnResolver()
        )

    def process_ended(self, reason: str) -> None:
        """Record that the worker's process has ended."""
        self._is_up = False
        self._set_state(LinkState.AWAY, reason)

    async def process_loaded(self, model: str | None) -> None:
        """Check a process that has just loaded; `model` is the tag of its models, if it has any."""
        self._tags, self._is_up = model, True
        self._breaker.succeeded()
        await self._check_server()

    async def stop(self) -> None:
        """Stop checking, and close all connections."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._session is not None:
            await self._session.close()

    def check(self) -> None:
        """Raise SideDownError or ApiMismatchError if no call can be made now."""
        if self._state is LinkState.OTHER_SCHEMA:
            raise ApiMismatchError(f"the candidate {self._label}: {self._reason}")
        if self._state is not LinkState.READY:
            raise SideDownError(f"the candidate {self._label} is away: {self._reason}")
        if not self._breaker.allows():
            raise SideDownError(f"the candidate {self._label}: {self._breaker_message()}")

    def candidate_api(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """Return address and input schema of an API that the primary does not have.

        Raises ApiMismatchError if the server has no API of that name.
        """
        api = self._routes.get(name)
        if api is None:
            known = ", ".join(sorted(self._routes)) or "none"
            raise ApiMismatchError(f"the candidate {self._label} has no API {name}; it has {known}")
        route = str(api["route"]).removeprefix(urlsplit(self.remote.url).path)
        return self.remote.url + route, api.get("input") or {}

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Record whether the call inside the block was answered, with a value or an error."""
        try:
            yield
        except _NO_ANSWER:
            self._record_failure()
            raise
        except BentoMLException as error:
            self._record_answer()
            if error.error_code in _SUGGESTS_OTHER_SCHEMA:
                self.check_schema_soon()
            raise
        else:
            self._record_answer()

    def check_schema_soon(self) -> None:
        """Request a check of the schema, because an answer was not as expected."""
        self._check_requested.set()

    def _record_answer(self) -> None:
        if self._breaker.is_open:
            logger.info("the candidate %s answers again", self._label)
        self._breaker.succeeded()
        self._answered += 1

    def _record_failure(self) -> None:
        was_open = self._breaker.is_open
        self._breaker.failed()
        if self._breaker.is_open and not was_open:
            logger.warning("the candidate %s: %s", self._label, self._breaker_message())
            if self._process is not None:
                self._process.replace()  # it hangs, and a new one may not
        self.check_schema_soon()

    def _breaker_message(self) -> str:
        return f"{self.settings.failures} calls in a row got no answer: only trial calls are made"

    async def _watch(self) -> None:
        delay = _FIRST_DELAY
        while True:
            if self._state is LinkState.READY:
                delay = _FIRST_DELAY
                await asyncio.sleep(min(_MIN_INTERVAL, self.settings.check_interval))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.settings.check_interval):
                        await self._check_requested.wait()
            else:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
            self._check_requested.clear()
            await self._check_server()

    async def _check_server(self) -> None:
        """Read schema and version of the server, and set the state."""
        if not self._is_up:
            return
        answered = self._answered
        try:
            if self.remote.url.startswith("https:") and self._state is not LinkState.READY:
                # Read again each time, because certificates may have been renewed.
                self.tls = await asyncio.to_thread(self.settings.tls)
            async with asyncio.timeout(CHECK_TIMEOUT):
                documents = ServerDocuments(
                    self.session, self.remote.url, self.settings.token, self.tls
                )
                document = await documents.schema()
                version = await documents.version()
        except Exception as error:
            # If calls were answered during a check that failed, the server is not away.
            if self._state is not LinkState.READY or answered == self._answered:
                self._set_state(LinkState.AWAY, _message(error))
            return
        prefix = urlsplit(self.remote.url).path
        found = schema_differences(self._apis, document, prefix)
        self._routes = routes_by_name(document)
        if isinstance(document, dict) and document.get("name"):
            name = str(document["name"])
            self.model = self._tags or (f"{name}:{version}" if version else name)
        if found:
            self._set_state(LinkState.OTHER_SCHEMA, "; ".join(found))
        else:
            self._set_state(LinkState.READY, "")

    def _set_state(self, state: LinkState, reason: str) -> None:
        changed = (state, reason) != (self._state, self._reason)
        self._state, self._reason = state, reason
        if not changed:
            return
        label = self._label
        if state is LinkState.READY:
            logger.info("the candidate %s is there, and serves %s", label, self.model)
        elif state is LinkState.OTHER_SCHEMA:
            logger.error("the candidate %s is not called, the primary answers: %s", label, reason)
        else:
            logger.warning("the candidate %s is away, the primary answers: %s", label, reason)


def _message(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CHECK_TIMEOUT:g} s"
    return _TLS_OBJECT.sub("", str(error)) or type(error).__name__
