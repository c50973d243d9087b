"""A watch that polls the workers of a running service until all follow a change of the flag."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import requests
from pydantic import TypeAdapter

from flags.bounded_http import is_loopback
from flags.errors import (
    FlagsError,
    NoMigrationEndpointError,
    OtherEnvironmentError,
    OtherFlagError,
    ServiceUnreachableError,
)
from flags.monitoring.last_verdict import LastVerdict
from flags.monitoring.worker_state import (
    LIVE_PATH,
    SILENT,
    WORKERS_PATH,
    WorkerFlag,
    Workers,
    WorkerState,
)

_Answer = TypeVar("_Answer")

_TIMEOUT: Final = (3.0, 5.0)
"""Seconds for connecting, and for the answer."""


def running_workers(url: str) -> Workers:
    """Read the workers' states from the service at `url`, which includes its path prefix.

    Raises ServiceUnreachableError or NoMigrationEndpointError.
    """
    return _get(url, WORKERS_PATH, Workers.parse)


@dataclass(frozen=True, slots=True)
class _Live:
    verdict: LastVerdict | None = None


_LIVE: Final = TypeAdapter(_Live)


def verdict_at(url: str) -> LastVerdict | None:
    """Return the last verdict on the service's live page; None if there is none.

    Raises ServiceUnreachableError or NoMigrationEndpointError.
    """
    return _get(url, LIVE_PATH, _LIVE.validate_json).verdict


def _get(url: str, path: str, parse: Callable[[bytes], _Answer]) -> _Answer:
    base = url.strip().rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise NoMigrationEndpointError(f"{url!r} is not an http or https URL")
    with requests.Session() as session:
        session.trust_env = not is_loopback(base)
        try:
            response = session.get(base + path, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise ServiceUnreachableError(
                f"no service answers at {base} ({type(error).__name__})"
            ) from None
    if response.status_code >= 500 or response.status_code == 429:
        raise ServiceUnreachableError(f"{base} answers with status {response.status_code}")
    if response.status_code == 200:
        try:
            return parse(response.content)
        except ValueError:
            pass
    raise NoMigrationEndpointError(
        f"{base} answers (status {response.status_code}), but not to GET {path}: it "
        "is not a migrated service, its path prefix is missing, or MIGRATION_ENDPOINTS is false"
    )


_INTERVAL: Final = 0.1
"""Seconds between two polls."""


@dataclass(frozen=True, slots=True)
class WatchResult:
    """The result of a watch."""

    workers: int
    """Number of workers that follow."""
    seconds: float | None
    """Until the last worker followed; None if not all follow, or the service does not answer."""
    missing: tuple[str, ...] = ()
    """Which workers do not follow, and why, in words."""
    unreachable: str | None = None
    """Why the workers' states could not be read."""

    @property
    def followed(self) -> bool:
        """Say whether every worker follows."""
        return self.seconds is not None


class Watch:
    """A poller of the workers of one service; times are seconds of `clock`."""

    def __init__(
        self,
        service: str,
        flag: str,
        *,
        environment: str | None = None,
        ask: Callable[[str], Workers] = running_workers,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service = service
        self._flag = flag
        self._environment = environment
        self._ask = ask
        self._clock = clock
        self._sleep = sleep

    def until(
        self, follows: Callable[[WorkerFlag], bool], *, within: float, began: float
    ) -> WatchResult:
        """Return when every worker follows, or `within` seconds after `began`.

        A service that does not answer is polled until then, since it may be overloaded. If it gives
        another answer, or follows another flag or environment, the watch ends at once.
        """
        seen: WatchResult | None = None
        while True:
            try:
                seen = self._poll(follows, began)
                if seen.followed:
                    return seen
            except ServiceUnreachableError as error:
                if seen is None or seen.unreachable is not None:
                    seen = WatchResult(0, None, unreachable=str(error))
                else:
                    ended = f"{error}, but it did before"
                    seen = replace(seen, missing=tuple(dict.fromkeys((*seen.missing, ended))))
            except (OtherFlagError, OtherEnvironmentError) as error:
                return WatchResult(0, None, missing=(str(error),))
            except FlagsError as error:
                return WatchResult(0, None, unreachable=str(error))
            if self._clock() - began >= within:
                return seen
            self._sleep(_INTERVAL)

    def _poll(self, follows: Callable[[WorkerFlag], bool], began: float) -> WatchResult:
        workers = self._ask(self._service)
        if workers.flag != self._flag:
            raise OtherFlagError(
                f"{self._service} follows the flag {workers.flag}, not {self._flag}"
            )
        self._check_environment(workers)
        behind = [
            state
            for state in workers.workers
            if not (state.flag.shows_flag and follows(state.flag))
        ]
        count = len(workers.workers) - len(behind)
        if not workers.workers:
            return WatchResult(0, None, missing=("no worker says anything",))
        if not behind:
            return WatchResult(count, self._clock() - began)
        return WatchResult(count, None, tuple(_in_words(state, workers) for state in behind))

    def _check_environment(self, workers: Workers) -> None:
        """Raise OtherEnvironmentError if all workers have the flag of another environment."""
        followed = {state.flag.environment for state in workers.workers}
        if None in (self._environment, *followed) or self._environment in followed:
            return
        if names := ", ".join(sorted(each for each in followed if each)):
            raise OtherEnvironmentError(
                f"{self._service} follows {self._flag} in {names}, not in {self._environment}: "
                f"--environment {names} is what reaches it"
            )


def _in_words(state: WorkerState, workers: Workers) -> str:
    seen_flag = state.flag
    name = f"worker {state.worker[:8]} (process {state.pid} on {state.host})"
    if not seen_flag.shows_flag:
        return f"{name}: its provider {seen_flag.provider} does not show the flag"
    switch = "on" if seen_flag.enabled else "off" if seen_flag.enabled is False else "nothing"
    rollout = (
        "" if seen_flag.rollout is None or not seen_flag.enabled else f", {seen_flag.rollout:g} %"
    )
    words = f"{name}: sees {switch}{rollout}"
    if seen_flag.source:
        words += f", from {seen_flag.source}"
    if seen_flag.environment:
        words += f" ({seen_flag.environment})"
    silence = (workers.at - state.heartbeat).total_seconds()
    if silence > SILENT.total_seconds():
        words += f"; is silent for {silence:.0f} s"
    elif seen_flag.state != "ready":
        words += f"; its flags are {seen_flag.state.replace('_', ' ')}"
    return words
