"""Messages about a migration, by apprise. They hold nothing up, whatever becomes of them."""

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
from flags.operate.told_file import Told, ToldFile
from flags.playbook.notify import NotifyPlan
from flags.printable import printable, without_credentials

PATIENCE: Final = 5.0
"""Seconds that a look waits for messages, at most; those that take longer go on behind it."""

_SHORTEST_SECRET: Final = 4
"""Characters from which on a part of an address is masked in what a service says."""

_KINDS: Final = {
    Action.ADVANCE: "success",
    Action.DONE: "success",
    Action.HOLD: "info",
    Action.ROLLBACK: "failure",
}

Deliver = Callable[[str, Message], str | None]
"""Sends a message to an address; returns what went wrong, in words."""


class Notifier:
    """Tell each address of a plan what is new to it.

    An address that does not take a message is told of the state of things at the next look; one
    that hangs is left alone until it has ended. Nothing is raised, and all problems are warnings,
    without anything of the address but its scheme.
    """

    def __init__(
        self,
        plan: NotifyPlan,
        environment: Mapping[str, str],
        told: ToldFile,
        warn: Callable[[str], object],
        *,
        deliver: Deliver | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._plan = plan
        self._environment = environment
        self._told = told
        self._warn = warn
        self._deliver = deliver or deliver_by_apprise
        self._patience = patience
        self._busy: dict[int, threading.Thread] = {}
        self._problems: deque[tuple[int, str]] = deque()
        self._warned: dict[int, str] = {}

    @property
    def tells_somebody(self) -> bool:
        """Say whether the plan names anybody."""
        return bool(self._plan.urls)

    def link(self, otherwise: str) -> str:
        """Return the page that messages link to."""
        try:
            page = fill_in(self._plan.link or otherwise, self._environment)
        except FlagsError:
            page = otherwise
        return without_credentials(page)

    def tell(self, news: News, now: datetime | None = None) -> None:
        """Send what is new; return within `patience` seconds."""
        now = now or datetime.now(UTC)
        begun: list[tuple[int, threading.Thread]] = []
        for number, url in enumerate(self._plan.urls):
            if number in self._busy and self._busy[number].is_alive():
                continue
            thread = threading.Thread(
                target=self._send, args=(number, url, news, now), name="notify", daemon=True
            )
            self._busy[number] = thread
            begun.append((number, thread))
            thread.start()
        deadline = time.monotonic() + self._patience
        for number, thread in begun:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._problems.append((number, "has not taken a message in time"))
        self._warn_of_problems()

    def _send(self, number: int, url: str, news: News, now: datetime) -> None:
        try:
            # Not the address: a secret that is renewed makes nobody new.
            who = f"{news.flag} {number + 1} {hashlib.sha256(url.encode()).hexdigest()[:12]}"
            told = self._told.read(who)
            message = news.since(told.states)
            if message is None or not self._may(message, told, now):
                return
            problem = self._deliver(fill_in(url, self._environment), message)
            if problem is None:
                self._warned.pop(number, None)
                problem = self._told.write(who, told.and_now(news.states, now))
        except FlagsError as error:
            problem = str(error)
        except Exception as error:  # of a service's plugin: telling is never in the way
            problem = f"failed ({type(error).__name__})"
        if problem is not None:
            self._problems.append((number, problem))

    def _may(self, message: Message, told: Told, now: datetime) -> bool:
        return message.urgent or told.within_hour(now) < self._plan.at_most

    def _warn_of_problems(self) -> None:
        """Warn of each problem once, until a message is taken again."""
        while self._problems:
            number, problem = self._problems.popleft()
            if self._warned.get(number) != problem:
                self._warned[number] = problem
                scheme = self._plan.urls[number].partition("://")
                kind = scheme[0] if scheme[1] and scheme[0].isalnum() else "from the environment"
                self._warn(f"notify.urls[{number + 1}] ({kind}): {problem}")


def deliver_by_apprise(url: str, message: Message) -> str | None:
    """Send a message by the library apprise; return what went wrong, in words."""
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
    with _Heard() as heard:
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
    said = _masked(heard.last, url)
    return f"did not take a message ({said})" if said else "did not take a message"


class _Heard(logging.Handler):
    """Hear what apprise says in this thread, and keep it from the log: it may hold secrets."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("apprise")

    def __enter__(self) -> "_Heard":
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: Any) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last message."""
        if record.thread == self._thread:
            self.last = record.getMessage()


def _masked(text: str, url: str) -> str:
    """Return what was said without any part of the address, but for the scheme."""
    parts = re.split(r"[/:@?&=#,+\s]+", url.partition("://")[2])
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            text = text.replace(part, "\u2026")
    return printable(" ".join(text.split()), 160)
