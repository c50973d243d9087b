"""The state of a worker, as a file that the other workers of the service can read."""

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
"""Route under which a service shows the state of its workers, after its path prefix."""

LIVE_PATH: Final = "/migration/live"
"""Route of the figures of its live page."""

RECENT_SUFFIX: Final = ".recent"
"""Of the file, beside that of a worker's state, in which its last minutes are counted."""

SILENT: Final = timedelta(seconds=5)
"""A worker whose last heartbeat is older hangs, or was stopped."""

GONE: Final = timedelta(minutes=1)
"""A worker whose last heartbeat is older is not listed any more, whatever has its process id."""

_FORGOTTEN: Final = timedelta(hours=1)
"""Age at which the file of another machine's worker, which we cannot look after, is removed."""


@dataclass(frozen=True, slots=True)
class WorkerFlag:
    """The migration's flag as a worker sees it; None where it cannot know."""

    key: str
    provider: str
    """Name of its OpenFeature provider."""
    state: str
    """State of the provider: `ready`, `stale`, `not_ready`, `expired`, `error` or `fatal`."""
    source: str | None = None
    """Where the flags come from: a URL without credentials, or a file."""
    enabled: bool | None = None
    """None too where the source does not have the flag."""
    rollout: float | None = None
    """Rollout of its strategy, 0-100, which counts while the flag is enabled."""
    stickiness: str | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of the candidate that the flag's payload carries and that are in force."""
    age_seconds: float | None = None
    """Since the source last confirmed the flags, or since the start."""
    error: str | None = None
    """Why the last look at the source failed."""
    warnings: tuple[str, ...] = ()
    """What is wrong with the flag."""
    tells: bool = True
    """False for a provider that evaluates flags, but does not tell how they are set."""
    since: datetime | None = None
    """When this worker first saw the flag so, by its own clock; at its start at the earliest."""
    project: str | None = None
    """Of the flag in Unleash."""
    environment: str | None = None
    """Of Unleash, that the flags are those of, if the service's token says it."""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Counts of a worker's pairs by what happened to them."""

    recorded: int
    waiting: int = 0
    """Not on disk yet."""
    lag_seconds: float = 0.0
    """How long the oldest of them has waited, seen once a heartbeat."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""


@dataclass(frozen=True, slots=True)
class ShippingCounts:
    """Counts of a worker's shipped spans since its start."""

    destination: str
    """Address of the receiver, without credentials and path."""
    shipped: int = 0
    """Spans that the receiver took, of pairs and of workers."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By reason: spans that it would not take, or that could not be read. They stay on disk."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """By reason: requests that have to be repeated."""
    waiting_bytes: int = 0
    """Of the files: not taken yet."""
    lag_seconds: float = 0.0
    """Age of the oldest pair that is being sent in vain; 0 if none is."""


@dataclass(frozen=True, slots=True)
class CandidateState:
    """A candidate that is a deployment of its own, as a worker sees it."""

    url: str
    state: str
    """`ready`, `away`, `other schema`, `failing` (calls get no answer) or `unchecked`."""
    model: str
    """Tag of its model, as far as it has said."""
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
    """In which `pid` means this process; None where the system has no such thing."""
    shipping: ShippingCounts | None = None
    """None in a worker that ships nothing."""
    candidate: CandidateState | None = None
    """None where the candidate runs in this deployment."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of a service, as JSON for `bentoml migration status`."""

    service: str
    flag: str
    at: datetime
    """When it is said, by the clock of the heartbeats."""
    workers: tuple[WorkerState, ...]

    def to_json(self) -> bytes:
        """Return the JSON text."""
        return printable_json(self, option=orjson.OPT_INDENT_2)

    @classmethod
    def parse(cls, text: bytes) -> "Workers":
        """Return what `to_json` wrote, unknown fields left out; ValueError if it is not that."""
        return _WORKERS.validate_json(text)


_STATE: Final = TypeAdapter(WorkerState)
_WORKERS: Final = TypeAdapter(Workers)


def _now() -> datetime:
    return datetime.now(UTC)


class WorkerRegistry:
    """The workers of one service, one JSON file each, in a folder that they share.

    A worker publishes its state once a second. Nothing here raises: a folder that cannot be
    written costs the others' view of this worker, which goes on knowing itself.
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
        """Write `state` in one step, in place of this worker's last one."""
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
        """Return the service's workers, the oldest first; silent ones too, but not dead ones."""
        now, own = self._clock(), self._own
        alive = {state.worker: state for state in self._published() if _is_alive(state, now)}
        if own is not None:
            alive[own.worker] = own
        return tuple(sorted(alive.values(), key=lambda state: (state.started, state.worker)))

    def sweep(self) -> tuple[WorkerState, ...]:
        """Remove the files of this machine's workers that are gone, and return those workers."""
        now, own = self._clock(), self._own
        others = [state for state in self._published() if not own or state.worker != own.worker]
        gone = tuple(
            state for state in others if _is_of_this_machine(state) and not _is_alive(state, now)
        )
        for state in gone:
            _remove(self._path(state))
            _remove(self._path(state).with_suffix(RECENT_SUFFIX))
        self._remove_forgotten(now)
        return gone

    def _published(self) -> list[WorkerState]:
        states = (_read(path) for path in self._files(".json"))
        return [state for state in states if state and state.service == self._service]

    def _remove_forgotten(self, now: datetime) -> None:
        for path in self._files(".json", ".tmp", RECENT_SUFFIX):
            with contextlib.suppress(OSError):
                changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if now - changed > _FORGOTTEN:
                    path.unlink()

    def _files(self, *suffixes: str) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.suffix in suffixes]
        except OSError:  # not made yet, or gone
            return []

    def _path(self, state: WorkerState) -> Path:
        return self._folder / f"{state.worker}.json"


def here() -> tuple[str, int, int | None]:
    """Return host name, process id and the namespace in which the id counts."""
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
        # A killed worker stays a zombie until BentoML's supervisor looks, every five seconds.
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it is another user's
        return True


def _read(path: Path) -> WorkerState | None:
    try:
        state = _STATE.validate_json(path.read_bytes())
    except (OSError, ValidationError):  # removed meanwhile, or of another version of ours
        return None
    return state if state.worker == path.stem else None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
