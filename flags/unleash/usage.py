"""Usage reports to an Unleash server: this client, and how often each flag was on and off.

Sent by a thread: polling does not wait for it, and a shutdown no longer than one request.
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
_MAX_QUEUED: Final = 100
"""Reports that are queued at most while the server cannot be reached."""
_MAX_BYTES: Final = 4096
"""Maximum size of an answer, of which only the status is used."""


class UsageReports:
    """A thread that reports the counts of engines: of the current one, and of replaced ones."""

    def __init__(self, source: FlagServer, engine: Callable[[], UnleashEngine | None]) -> None:
        self._source = source
        self._engine = engine
        self._session = unleash_session(source)
        self._queue: deque[dict[str, Any]] = deque(maxlen=_MAX_QUEUED)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="unleash-usage", daemon=True)

    def start(self) -> None:
        """Register this client, then report every minute."""
        self._thread.start()

    def collect(self, engine: UnleashEngine) -> None:
        """Take the counts out of an engine, for the next report."""
        try:
            counts = engine.get_metrics()
        except Exception:  # only counts are lost
            logger.debug("an engine gave no counts", exc_info=True)
            return
        if counts:
            self._queue.append(counts)

    def stop(self) -> None:
        """Send the last report and stop."""
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
            self.collect(engine)
        while self._queue:
            if not self._send("/client/metrics", {"bucket": self._queue[0]}):
                return  # kept for the next report
            self._queue.popleft()

    def _send(self, path: str, content: dict[str, Any]) -> bool:
        who = {"appName": self._source.app_name, "instanceId": INSTANCE}
        try:
            answer = self._session.request(
                "POST",
                self._source.url.rstrip("/") + path,
                seconds=self._source.request_timeout,
                max_bytes=_MAX_BYTES,
                json=who | content,
            )
        except (requests.RequestException, UnicodeError):  # polling logs that the server is down
            return False
        return answer.status < 300
