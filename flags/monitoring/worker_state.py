"""The state of a worker, in a file that the other workers of the service read."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
import psutil
from pydantic import TypeAdapter, ValidationError

from flags.export.worker_count import FOLDER
from flags.files import replace_file
from flags.printable import printable_json

logger = logging.getLogger(__name__)

WORKERS_PATH: Final = "/migration/workers"
"""Route of the states of a service's workers, after the service's path prefix."""

LIVE_PATH: Final = "/migration/live"
"""Route of the figures of its live page."""

RECENT_SUFFIX: Final = ".recent"
"""Suffix of the file with the counts of a worker's last minutes, beside that of its state."""

SILENT: Final = timedelta(seconds=5)
"""A worker whose last heartbeat is older hangs or was stopped."""

GONE: Final = timedelta(minutes=1)
"""A worker whose last heartbeat is older is not listed, even if its process id is in use."""

_MAX_AGE: Final = timedelta(hours=1)
"""Age at which a file is removed, if it belongs to another machine's worker, which may be dead."""


@dataclass(frozen=True, slots=True)
class WorkerFlag:
    """The migration's flag as a worker sees it; fields are None if unknown."""

    key: str
    provider: str
    """Name of its OpenFeature provider."""
    state: str
    """State of the provider: `ready`, `stale`, `not_ready`, `expired`, `error` or `fatal`."""
    source: str | None = None
    """Source of the flags: a URL without credentials, or a file."""
    enabled: bool | None = None
    """None also if the source does not have the flag."""
    rollout: float | None = None
    """Rollout of its strategy, 0-100; in force while the flag is enabled."""
    stickiness: str | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of the candidate in the flag's payload that are in force, by output."""
    age_seconds: float | None = None
    """Seconds since the source last confirmed the flags, else since the start."""
    error: str | None = None
    """Why the last poll of the source failed."""
    warnings: tuple[str, ...] = ()
    """Problems of the flag."""
    shows_flag: bool = True
    """False for a provider that evaluates flags but does not show their state."""
    since: datetime | None = None
    """When this worker first saw the current state, by its own clock; not before its start."""
    project: str | None = None
    """The flag's project in Unleash."""
    environment: str | None = None
    """The flag's environment in Unleash, if the service's token names it."""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Counts of a worker's pairs: recorded, waiting and dropped."""

    recorded: int
    waiting: int = 0
    """Pairs that are not on disk yet."""
    lag_seconds: float = 0.0
    """Waiting time of the oldest of them, measured at each heartbeat."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""


@dataclass(frozen=True, slots=True)
class ShippingCounts:
    """Counts of a worker's shipped spans since its start."""

    destination: str
    """Address of the receiver, without credentials and path."""
    shipped: int = 0
    """Spans that the receiver accepted, of pairs and of workers."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Spans that it did not accept, or that could not be read, by reason. They stay on disk."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """Requests that have to be repeated, by reason."""
    waiting_bytes: int = 0
    """Bytes of the files that are not shipped yet."""
    lag_seconds: float = 0.0
    """Age of the oldest pair that is not accepted yet; 0 if there is none."""


@dataclass(frozen=True, slots=True)
class CandidateState:
    """A candidate that is a deployment of its own, as a worker sees it."""

    url: str
    state: str
    """`ready`, `away`, `other schema`, `failing` (calls get no answer) or `unchecked`."""
    model: str
    """Tag of its model; empty if unknown."""
    why: str | None = None
    """Why it is not called, in words."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The state of one worker process of a migrated service."""

    worker: str
    """The `service.instance.id` of its pairs."""
    service: str
    host: str
    pid: int
    started: datetime
    heartbeat: datetime
    flag: WorkerFlag
    pairs: PairCounts
    pid_namespace: int | None = None
    """The PID namespace of `pid`; None if the system has none."""
    shipping: ShippingCounts | None = None
    """None for a worker that does not ship."""
    candidate: CandidateState | None = None
    """None if the candidate runs in this deployment."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of a service, as JSON for `bentoml migration status`."""

    service: str
    flag: str
    at: datetime
    """Time of this answer, by the clock of the heartbeats."""
    workers: tuple[WorkerState, ...]

    def to_json(self) -> bytes:
        """Return the JSON text."""
        return printable_json(self, option=orjson.OPT_INDENT_2)

    @classmethod
    def parse(cls, text: bytes) -> "Workers":
        """Parse the result of `to_json`, ignoring unknown fields. Raises ValueError."""
        return _WORKERS.validate_json(text)


_STATE: Final = TypeAdapter(WorkerState)
_WORKERS: Final = TypeAdapter(Workers)


def _now() -> datetime:
    return datetime.now(UTC)


class WorkerRegistry:
    """The states of one service's workers, a JSON file each, in a shared folder.

    A worker publishes its state once a second. Nothing here raises: if the folder cannot be
    written, the other workers do not see this one; it still sees itself.
    """

    def __init__(self, pairs_dir: Path, service: str, clock: Callable[[], datetime] = _now) -> None:
        self._folder = pairs_dir / FOLDER
        self._service = service
        self._clock = clock
        self._own: WorkerState | None = None
        self._failing = False

    @property
    def own(self) -> str | None:
        """Return the id of the worker that this process is."""
        return self._own.worker if self._own else None

    def publish(self, state: WorkerState) -> None:
        """Replace this worker's file atomically by `state`."""
        self._own = state
        path = self._path(state)
        try:
            replace_file(path, printable_json(state))
            self._failing = False
        except OSError as error:
            if not self._failing:
                logger.warning(
                    "the other workers cannot see this one: %s (%s)", path, error.strerror
                )
            self._failing = True

    def withdraw(self) -> None:
        """Remove this worker's file."""
        own, self._own = self._own, None
        if own is not None:
            _remove(self._path(own))

    def running(self) -> tuple[WorkerState, ...]:
        """Return the service's workers, the oldest first; with silent ones, without dead ones."""
        now, own = self._clock(), self._own
        alive = {state.worker: state for state in self._published() if _is_alive(state, now)}
        if own is not None:
            alive[own.worker] = own
        return tuple(sorted(alive.values(), key=lambda state: (state.started, state.worker)))

    def sweep(self) -> tuple[WorkerState, ...]:
        """Remove the files of this machine's dead workers, and return these workers."""
        now, own = self._clock(), self._own
        others = [state for state in self._published() if not own or state.worker != own.worker]
        gone = tuple(
            state for state in others if _is_of_this_machine(state) and not _is_alive(state, now)
        )
        for state in gone:
            _remove(self._path(state))
            _remove(self._path(state).with_suffix(RECENT_SUFFIX))
        self._remove_old(now)
        return gone

    def _published(self) -> list[WorkerState]:
        states = (_read(path) for path in self._files(".json"))
        return [state for state in states if state and state.service == self._service]

    def _remove_old(self, now: datetime) -> None:
        for path in self._files(".json", ".tmp", RECENT_SUFFIX):
            with contextlib.suppress(OSError):
                changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if now - changed > _MAX_AGE:
                    path.unlink()

    def _files(self, *suffixes: str) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.suffix in suffixes]
        except OSError:  # not created yet, or removed
            return []

    def _path(self, state: WorkerState) -> Path:
        return self._folder / f"{state.worker}.json"


def here() -> tuple[str, int, int | None]:
    """Return host name, process id and PID namespace of this process."""
    return socket.gethostname(), os.getpid(), _pid_namespace()


def _pid_namespace() -> int | None:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux
        return None


def _is_of_this_machine(state: WorkerState) -> bool:
    host, _, namespace = here()
    return (state.host, state.pid_namespace) == (host, namespace)


def _is_alive(state: WorkerState, now: datetime) -> bool:
    if now - state.heartbeat > GONE:
        return False
    return not _is_of_this_machine(state) or _exists(state.pid)


def _exists(pid: int) -> bool:
    try:
        # A killed worker stays a zombie until BentoML's supervisor checks it, every five seconds.
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # a process of another user
        return True


def _read(path: Path) -> WorkerState | None:
    try:
        state = _STATE.validate_json(path.read_bytes())
    except (OSError, ValidationError):  # removed meanwhile, or of another version
        return None
    return state if state.worker == path.stem else None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
