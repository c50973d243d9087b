"""The link to a server that is the candidate: whether it is there, and has the right schema."""

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

CHECK_WITHIN: Final = 2.0
"""Seconds for the server to say what it is; a worker's start waits for that long, once."""

_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 2.0
"""Seconds between two looks at a server that cannot be used; doubled with each."""

_APART: Final = 1.0
"""Seconds between two looks at a server that is in use, whatever its answers give to suspect."""

_IDLE: Final = 4.0
"""Seconds for which a connection is kept: less than the 5 after which BentoML's server ends it."""

_NO_ANSWER: Final = (
    asyncio.CancelledError,  # its time limit is over
    aiohttp.ClientError,
    OSError,
    SideDownError,
)

_OF_TLS: Final = re.compile(r" ssl:(<[^>]*>|\S+)")
"""What aiohttp adds to a failed connection: an object by its address, another each time."""

_OF_ANOTHER_SCHEMA: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})


class LinkState(StrEnum):
    """Whether a server can be called."""

    UNCHECKED = "unchecked"
    READY = "ready"
    AWAY = "away"
    OTHER_SCHEMA = "other schema"


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """A server that is a process of this worker, at a Unix socket."""

    shown: str
    """What operators are shown in place of an address."""
    socket: Callable[[], str]
    """Returns the path of the socket."""
    replace: Callable[[], None]
    """Ends a process that hangs, for another one to take its place."""


class RemoteLink:
    """Look at the server now and then, and let calls pass only while it can answer them.

    Nothing here raises but what refuses a call: the service starts, and the primary answers,
    whether the server is there or not.
    """

    def __init__(
        self,
        remote: Remote,
        apis: Sequence[APIMethod[..., Any]],
        settings: LinkSettings,
        *,
        process: LocalProcess | None = None,
    ) -> None:
        """Link to `remote`, which is to have `apis`; `process` is given if it is of this worker."""
        self.remote = remote
        self._process = process
        self._shown = remote.url if process is None else process.shown
        self._tags: str | None = None
        self._is_up = process is None
        """Whether there is somebody to ask: of a process of this worker, that is known."""
        self.settings = settings
        self.model = remote.label
        """The tag of the model, as far as the server has said."""
        self.tls: ssl.SSLContext | bool = True
        self._apis = apis
        self._breaker = CircuitBreaker(settings.failures)
        self._state = LinkState.UNCHECKED
        self._routes: Mapping[str, Mapping[str, Any]] = {}
        self._why = ""
        self._answered = 0
        self._suspected = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session of a link that was started. Raises SideDownError if none was."""
        if self._session is None:
            raise SideDownError(f"the candidate {self.remote.url} is not connected")
        return self._session

    @property
    def is_ready(self) -> bool:
        """Say whether calls can be made."""
        return self._state is LinkState.READY and not self._breaker.is_open

    def report(self) -> CandidateState:
        """Return what operators are shown."""
        if self._state is LinkState.READY and self._breaker.is_open:
            return CandidateState(self._shown, "failing", self.model, self._left_alone())
        return CandidateState(self._shown, self._state.value, self.model, self._why or None)

    async def start(self) -> None:
        """Connect, look for the first time (`CHECK_WITHIN` seconds at most), and go on looking."""
        self._session = aiohttp.ClientSession(
            connector=self._connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        if self._process is None:
            await self._look()
        self._watching = asyncio.create_task(self._watch())

    def _connector(self) -> aiohttp.BaseConnector:
        if self._process is not None:
            return aiohttp.UnixConnector(self._process.socket(), limit=0)
        return aiohttp.TCPConnector(  # which Connections bounds
            limit=0, keepalive_timeout=_IDLE, resolver=OwnResolver()
        )

    def lost(self, why: str) -> None:
        """Note that the server has gone, and why."""
        self._is_up = False
        self._become(LinkState.AWAY, why)

    async def found(self, model: str | None) -> None:
        """Look at a server that has just come; `model` is the tag of its models, if it has any."""
        self._tags, self._is_up = model, True
        self._breaker.succeeded()
        await self._look()

    async def stop(self) -> None:
        """Close every connection."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._session is not None:
            await self._session.close()

    def check(self) -> None:
        """Raise SideDownError or ApiMismatchError where a call would be in vain."""
        if self._state is LinkState.OTHER_SCHEMA:
            raise ApiMismatchError(f"the candidate {self._shown}: {self._why}")
        if self._state is not LinkState.READY:
            raise SideDownError(f"the candidate {self._shown} is away: {self._why}")
        if not self._breaker.allows():
            raise SideDownError(f"the candidate {self._shown}: {self._left_alone()}")

    def further_api(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """Return the address and the input's schema of an API that the primary has not.

        Raises ApiMismatchError where the server has none of that name.
        """
        api = self._routes.get(name)
        if api is None:
            known = ", ".join(sorted(self._routes)) or "none"
            raise ApiMismatchError(f"the candidate {self._shown} has no API {name}; it has {known}")
        route = str(api["route"]).removeprefix(urlsplit(self.remote.url).path)
        return self.remote.url + route, api.get("input") or {}

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Note whether the call that is made inside was answered, be it with an error."""
        try:
            yield
        except _NO_ANSWER:
            self._note_failure()
            raise
        except BentoMLException as error:
            self._note_answer()
            if error.error_code in _OF_ANOTHER_SCHEMA:
                self.suspect()
            raise
        else:
            self._note_answer()

    def suspect(self) -> None:
        """Have the schema looked at soon: an answer was not as it should be."""
        self._suspected.set()

    def _note_answer(self) -> None:
        if self._breaker.is_open:
            logger.info("the candidate %s answers again", self._shown)
        self._breaker.succeeded()
        self._answered += 1

    def _note_failure(self) -> None:
        was_open = self._breaker.is_open
        self._breaker.failed()
        if self._breaker.is_open and not was_open:
            logger.warning("the candidate %s: %s", self._shown, self._left_alone())
            if self._process is not None:
                self._process.replace()  # it hangs, and another one may not
        self.suspect()

    def _left_alone(self) -> str:
        return (
            f"{self.settings.failures} calls in a row got no answer; but for single trials, it is "
            "left alone"
        )

    async def _watch(self) -> None:
        delay = _FIRST_DELAY
        while True:
            if self._state is LinkState.READY:
                delay = _FIRST_DELAY
                await asyncio.sleep(min(_APART, self.settings.check_interval))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.settings.check_interval):
                        await self._suspected.wait()
            else:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
            self._suspected.clear()
            await self._look()

    async def _look(self) -> None:
        """Ask the server what it is."""
        if not self._is_up:
            return
        answered = self._answered
        try:
            if self.remote.url.startswith("https:") and self._state is not LinkState.READY:
                self.tls = await asyncio.to_thread(self.settings.tls)  # renewed ones count too
            async with asyncio.timeout(CHECK_WITHIN):
                documents = ServerDocuments(
                    self.session, self.remote.url, self.settings.token, self.tls
                )
                document = await documents.schema()
                version = await documents.version()
        except Exception as error:
            # While calls are answered, a look that was not is not news.
            if self._state is not LinkState.READY or answered == self._answered:
                self._become(LinkState.AWAY, _words(error))
            return
        prefix = urlsplit(self.remote.url).path
        found = schema_differences(self._apis, document, prefix)
        self._routes = routes_by_name(document)
        if isinstance(document, dict) and document.get("name"):
            name = str(document["name"])
            self.model = self._tags or (f"{name}:{version}" if version else name)
        if found:
            self._become(LinkState.OTHER_SCHEMA, "; ".join(found))
        else:
            self._become(LinkState.READY, "")

    def _become(self, state: LinkState, why: str) -> None:
        changed = (state, why) != (self._state, self._why)
        self._state, self._why = state, why
        if not changed:
            return
        url = self._shown
        if state is LinkState.READY:
            logger.info("the candidate %s is there, and serves %s", url, self.model)
        elif state is LinkState.OTHER_SCHEMA:
            logger.error("the candidate %s is not called, the primary answers: %s", url, why)
        else:
            logger.warning("the candidate %s is away, the primary answers: %s", url, why)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CHECK_WITHIN:g} s"
    return _OF_TLS.sub("", str(error)) or type(error).__name__
