"""Messages about a migration, sent by apprise. Failures never hold up the migration."""

import hashlib
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flags.errors import FlagsError
from flags.operate.environment import fill_in
from flags.operate.news import Message, News
from flags.operate.next_action import Action
from flags.operate.sent_messages import SentMessages, SentMessagesFile
from flags.playbook.notify import NotifyPlan
from flags.printable import printable, without_credentials

MAX_WAIT: Final = 5.0
"""Seconds for which a look waits for messages; slower ones go on in the background."""

_SHORTEST_SECRET: Final = 4
"""Characters; parts of an address from this length on are masked in a service's message."""

_KINDS: Final = {
    Action.ADVANCE: "success",
    Action.DONE: "success",
    Action.HOLD: "info",
    Action.ROLLBACK: "failure",
}

Deliver = Callable[[str, Message], str | None]
"""Sends a message to an address; returns a problem in words."""


class Notifier:
    """A sender of the news that is new to each address of a plan.

    If an address does not accept a message, the news is sent again at the next look. While a
    message to an address hangs, no other one is sent to it. Nothing is raised: problems are
    warnings, which show only the scheme of an address.
    """

    def __init__(
        self,
        plan: NotifyPlan,
        environment: Mapping[str, str],
        sent: SentMessagesFile,
        warn: Callable[[str], object],
        *,
        deliver: Deliver | None = None,
        max_wait: float = MAX_WAIT,
    ) -> None:
        self._plan = plan
        self._environment = environment
        self._sent = sent
        self._warn = warn
        self._deliver = deliver or deliver_by_apprise
        self._max_wait = max_wait
        self._busy: dict[int, threading.Thread] = {}
        self._problems: deque[tuple[int, str]] = deque()
        self._warned: dict[int, str] = {}

    @property
    def has_recipients(self) -> bool:
        """Say whether the plan has any address."""
        return bool(self._plan.urls)

    def link(self, default: str) -> str:
        """Return the address of the page that messages link to."""
        try:
            page = fill_in(self._plan.link or default, self._environment)
        except FlagsError:
            page = default
        return without_credentials(page)

    def send(self, news: News, now: datetime | None = None) -> None:
        """Send to each address the news that is new to it; return within `max_wait` seconds."""
        now = now or datetime.now(UTC)
        begun: list[tuple[int, threading.Thread]] = []
        for number, url in enumerate(self._plan.urls):
            if number in self._busy and self._busy[number].is_alive():
                continue
            thread = threading.Thread(
                target=self._send_to, args=(number, url, news, now), name="notify", daemon=True
            )
            self._busy[number] = thread
            begun.append((number, thread))
            thread.start()
        deadline = time.monotonic() + self._max_wait
        for number, thread in begun:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._problems.append((number, "has not taken a message in time"))
        self._warn_of_problems()

    def _send_to(self, number: int, url: str, news: News, now: datetime) -> None:
        try:
            # By the address in the plan, with its ${NAME}s: a renewed secret is no new recipient.
            digest = hashlib.sha256(url.encode()).hexdigest()[:12]
            recipient = f"{news.flag} {number + 1} {digest}"
            sent = self._sent.read(recipient)
            message = news.message_after(sent.states)
            if message is None or not self._may_send(message, sent, now):
                return
            problem = self._deliver(fill_in(url, self._environment), message)
            if problem is None:
                self._warned.pop(number, None)
                problem = self._sent.write(recipient, sent.with_message(news.states, now))
        except FlagsError as error:
            problem = str(error)
        except Exception as error:  # of an apprise plugin: it must not stop the look
            problem = f"failed ({type(error).__name__})"
        if problem is not None:
            self._problems.append((number, problem))

    def _may_send(self, message: Message, sent: SentMessages, now: datetime) -> bool:
        return message.urgent or sent.within_hour(now) < self._plan.max_per_hour

    def _warn_of_problems(self) -> None:
        """Warn of each problem once, until a message is accepted again."""
        while self._problems:
            number, problem = self._problems.popleft()
            if self._warned.get(number) != problem:
                self._warned[number] = problem
                scheme = self._plan.urls[number].partition("://")
                kind = scheme[0] if scheme[1] and scheme[0].isalnum() else "from the environment"
                self._warn(f"notify.urls[{number + 1}] ({kind}): {problem}")


def deliver_by_apprise(url: str, message: Message) -> str | None:
    """Send a message by the library apprise; return a problem in words."""
    try:
        import apprise
    except ModuleNotFoundError:
        return "apprise is not installed: it comes with the extra `notify` of bentoml-flags"
    asset = apprise.AppriseAsset(
        app_id="bentoml-flags",
        app_desc="bentoml-flags",
        app_url="",
        async_mode=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    with _LogCapture() as log:
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            return "is not an address that apprise knows"
        kind = _KINDS.get(message.action, "warning")
        if service.notify(
            body=message.body,
            title=message.title,
            notify_type=kind,
            body_format=apprise.NotifyFormat.TEXT,
        ):
            return None
    reason = _masked(log.last, url)
    return f"did not take a message ({reason})" if reason else "did not take a message"


class _LogCapture(logging.Handler):
    """A capture of apprise's log in this thread; it is not written, since it may hold secrets."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("apprise")

    def __enter__(self) -> "_LogCapture":
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: Any) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Store the message; only the last one is kept."""
        if record.thread == self._thread:
            self.last = record.getMessage()


def _masked(text: str, url: str) -> str:
    """Mask all parts of the address, except the scheme, in a text."""
    parts = re.split(r"[/:@?&=#,+\s]+", url.partition("://")[2])
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            text = text.replace(part, "\u2026")
    return printable(" ".join(text.split()), 160)
