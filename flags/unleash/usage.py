"""Usage reports to an Unleash server: who asks for flags, and how each was answered how often.

In a thread of its own: neither the flags nor a shutdown wait for it longer than one request.
https://docs.getunleash.io/api/register-client-application, .../api/metrics.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import requests
from yggdrasil_engine.engine import UnleashEngine

from flags.unleash.source import INSTANCE, SDK, FlagServer, unleash_session

logger = logging.getLogger(__name__)

_INTERVAL: Final = 60.0
"""Seconds between two reports."""
_WAITING: Final = 100
"""Reports that wait at most, each of one document's time."""
_ANSWER: Final = 4096
"""Bytes of an answer, in which nothing is of interest but its status."""


class UsageReports:
    """Report the counts of `engine()`, the one in use, and of those that were `retired`."""

    def __init__(self, source: FlagServer, engine: Callable[[], UnleashEngine | None]) -> None:
        self._source = source
        self._engine = engine
        self._session = unleash_session(source)
        self._waiting: deque[dict[str, Any]] = deque(maxlen=_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="unleash-usage", daemon=True)

    def start(self) -> None:
        """Register, and report from now on."""
        self._thread.start()

    def retired(self, engine: UnleashEngine) -> None:
        """Take over what an engine has counted that is not asked any more."""
        try:
            counts = engine.get_metrics()
        except Exception:  # counts only
            logger.debug("an engine gave no counts", exc_info=True)
            return
        if counts:
            self._waiting.append(counts)

    def stop(self) -> None:
        """Report what is left, and stop."""
        self._stopped.set()
        self._thread.join(2.0 * self._source.request_timeout + 1.0)
        self._session.close()

    def _run(self) -> None:
        self._send(
            "/client/register",
            {
                "sdkVersion": SDK,
                "strategies": [],
                "started": datetime.now(UTC).isoformat(),
                "interval": int(_INTERVAL),
            },
        )
        while not self._stopped.wait(_INTERVAL):
            self._report()
        self._report()

    def _report(self) -> None:
        if (engine := self._engine()) is not None:
            self.retired(engine)
        while self._waiting:
            if not self._send("/client/metrics", {"bucket": self._waiting[0]}):
                return  # kept for the next time
            self._waiting.popleft()

    def _send(self, path: str, content: dict[str, Any]) -> bool:
        who = {"appName": self._source.app_name, "instanceId": INSTANCE}
        try:
            answer = self._session.request(
                "POST",
                self._source.url.rstrip("/") + path,
                seconds=self._source.request_timeout,
                max_bytes=_ANSWER,
                json=who | content,
            )
        except (requests.RequestException, UnicodeError):  # the look at the flags says so
            return False
        return answer.status < 300
