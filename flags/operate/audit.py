"""The audit file: one JSON line for each change of the flag and each confirmation of one."""

import contextlib
import getpass
import socket
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import orjson
from pydantic import TypeAdapter

from flags.errors import AuditUnwritableError
from flags.files import append_lines, locked_to_append
from flags.monitoring.views import FlagView
from flags.printable import printable_json
from flags.unleash.admin import UnleashAdmin
from flags.unleash.admin.errors import AdminError


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One change of a flag by this tool; one line of the audit file."""

    id: str
    time: datetime
    """Time of the change, with time zone, by this machine's clock."""
    command: str
    """`rollback`, `advance` or `autopilot`."""
    by: str
    """User and machine: Unleash does not know who uses an admin token."""
    flag: str
    environment: str
    unleash: str
    """Base URL of the dashboard."""
    before: FlagView | None
    """None if Unleash did not answer in time."""
    after: FlagView
    reason: str
    """The full text; Unleash stores 50 characters of it."""
    verdict: Mapping[str, Any] | None = None
    """The gate's decision and reasons, if there was a verdict."""
    approval: str | None = None
    """Why the person in `by` approved the step; None if no approval was needed."""
    event: int | None = None
    """Number of the change's entry in the flag's event log, if known."""

    @classmethod
    def of(
        cls,
        admin: UnleashAdmin,
        flag: str,
        command: str,
        *,
        before: FlagView | None,
        after: FlagView,
        reason: str,
        verdict: Mapping[str, Any] | None = None,
        approval: str | None = None,
        event: int | None = None,
    ) -> Self:
        """Return a change of `flag` that was made just now."""
        return cls(
            id=str(uuid.uuid4()),
            time=datetime.now(UTC),
            command=command,
            by=operator(),
            flag=flag,
            environment=admin.environment,
            unleash=admin.url,
            before=before,
            after=after,
            reason=reason,
            verdict=verdict,
            approval=approval,
            event=event,
        )

    @property
    def note(self) -> str:
        """Return the text for the note on the flag."""
        return f"{self.command}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The workers' confirmation of a change; a second line of the audit file."""

    change: str
    """`id` of the change."""
    time: datetime
    service: str
    workers: int
    """Number of workers that confirmed it."""
    seconds: float | None
    """From the request to Unleash to the last worker's confirmation; None if not all confirmed."""
    missing: tuple[str, ...] = field(default=())
    """Which workers did not confirm it, and why."""


def operator() -> str:
    """Return `user@machine` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown user"
    return f"{user}@{socket.gethostname()}"


_KINDS: Final[Mapping[str, TypeAdapter[FlagChange] | TypeAdapter[Confirmation]]] = {
    "change": TypeAdapter(FlagChange),
    "confirmation": TypeAdapter(Confirmation),
}


@dataclass(frozen=True, slots=True)
class Audit:
    """The content of an audit file, in order."""

    changes: tuple[FlagChange, ...]
    confirmations: tuple[Confirmation, ...]
    unreadable: int
    """Number of lines that are incomplete, or not ours."""

    def approved(self, flag: str, environment: str) -> int:
        """Return the event log entry of the flag's latest approved step; 0 if there is none."""
        entries = (
            each.event or 0
            for each in self.changes
            if each.approval and (each.flag, each.environment) == (flag, environment)
        )
        return max(entries, default=0)


class AuditFile:
    """An audit file, to which several programs may append at the same time.

    A new file is readable only for its owner; the mode of an existing file is not changed. Every
    failure is an AuditUnwritableError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        """Descriptor of the file while it is locked by `exclusive`."""

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the file, so that no other program that records here changes a flag meanwhile.

        Unleash compares and writes in two steps, without a lock: if two programs raise a rollout in
        the same milliseconds, both requests succeed. If the file cannot be written, the flag is
        changed without a lock.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                self._descriptor = stack.enter_context(self._locked())
            try:
                yield
            finally:
                self._descriptor = None

    def append(self, entry: FlagChange | Confirmation) -> None:
        """Append `entry` as one line, durably, all or nothing.

        Raises AuditUnwritableError.
        """
        kind = "change" if isinstance(entry, FlagChange) else "confirmation"
        line = printable_json({"kind": kind, **_plain(entry)}) + b"\n"
        try:
            with self._locked() as file:
                append_lines(file, line)
        except OSError as error:
            raise AuditUnwritableError(
                f"the audit file {self.path} cannot be written: {error.strerror}"
            ) from error

    def read(self) -> Audit:
        """Return the content; empty if there is no file. Raises AuditUnwritableError."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise AuditUnwritableError(
                f"the audit file {self.path} cannot be read: {error.strerror}"
            ) from error
        entries = [_parsed(line) for line in lines if line.strip()]
        return Audit(
            changes=tuple(each for each in entries if isinstance(each, FlagChange)),
            confirmations=tuple(each for each in entries if isinstance(each, Confirmation)),
            unreadable=sum(each is None for each in entries),
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        if self._descriptor is not None:
            yield self._descriptor
            return
        with locked_to_append(self.path) as file:
            yield file


def _plain(entry: FlagChange | Confirmation) -> dict[str, object]:
    plain: dict[str, object] = orjson.loads(printable_json(entry))
    return plain


def _parsed(line: bytes) -> FlagChange | Confirmation | None:
    try:
        plain = orjson.loads(line)
        return _KINDS[plain.pop("kind")].validate_python(plain)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The result of recording a change."""

    note: str | None
    """The flag's note as stored; None if Unleash did not store it."""
    warnings: tuple[str, ...]
    """What could not be recorded, in words. The change itself was made."""


def record(admin: UnleashAdmin, change: FlagChange, audit: AuditFile | None) -> Recorded:
    """Store the reason as the flag's note, and `change` in the audit file; never raises."""
    warnings = [*record_locally(change, audit)]
    try:
        return Recorded(admin.note(change.flag, change.note), tuple(warnings))
    except AdminError as error:
        return Recorded(None, (*warnings, f"Unleash does not keep the reason: {error}"))


def record_locally(entry: FlagChange | Confirmation, audit: AuditFile | None) -> tuple[str, ...]:
    """Append `entry` to the audit file; return problems in words."""
    if audit is None:
        return ()
    try:
        audit.append(entry)
    except AuditUnwritableError as error:
        return (str(error),)
    return ()
