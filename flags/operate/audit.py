"""The audit file: JSON lines, one for each change of the flag or its confirmation."""

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
    """One change of a flag; the audit file has one line for each."""

    id: str
    time: datetime
    """When it was done, with time zone; by this machine's clock."""
    command: str
    """`rollback`, `advance` or `autopilot`."""
    by: str
    """User and machine: Unleash knows of an admin token only that it is one."""
    flag: str
    environment: str
    unleash: str
    """Base URL of the dashboard."""
    before: FlagView | None
    """None where it could not be asked in time."""
    after: FlagView
    reason: str
    """In full: what Unleash keeps of it has 50 characters."""
    verdict: Mapping[str, Any] | None = None
    """What the gate said, if it was asked: its decision and its reasons."""
    approval: str | None = None
    """Why the person in `by` approved a step that needs approval; None where nobody did."""
    event: int | None = None
    """Number of the entry of the flag's event log, if that was asked for."""

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
        """Return what was done to `flag` just now."""
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
        """Return the words for the flag itself."""
        return f"{self.command}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The workers' confirmation of a change; a second line of the audit file."""

    change: str
    """`id` of the change."""
    time: datetime
    service: str
    workers: int
    """Number of those that confirmed it."""
    seconds: float | None
    """From the request to Unleash to the last worker's confirmation; None if not all confirmed."""
    missing: tuple[str, ...] = field(default=())
    """What stood in the way."""


def operator() -> str:
    """Return who runs this program, and where."""
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
    """What an audit file holds, in its order."""

    changes: tuple[FlagChange, ...]
    confirmations: tuple[Confirmation, ...]
    unreadable: int
    """Lines that are none of ours, or torn."""

    def approved(self, flag: str, environment: str) -> int:
        """Return the entry of the flag's event log by its latest approved step; 0 if none is."""
        entries = (
            each.event or 0
            for each in self.changes
            if each.approval and (each.flag, each.environment) == (flag, environment)
        )
        return max(entries, default=0)


class AuditFile:
    """An audit file that several programs may append to at once.

    It is made readable for its owner only; the mode of a file that is there is left as it is. Every
    failure is an AuditUnwritableError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: int | None = None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other program move a flag and record it here meanwhile.

        Unleash compares and writes in two steps, without a lock: of two that raise a rollout in the
        same milliseconds, both are told that they did it. Without a writable file there is no lock,
        and no reason to leave the flag as it is.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                self._held = stack.enter_context(self._locked())
            try:
                yield
            finally:
                self._held = None

    def append(self, entry: FlagChange | Confirmation) -> None:
        """Write `entry` to the disk as one line: all of it, or nothing.

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
        """Return what is in the file; nothing if there is none. Raises AuditUnwritableError."""
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
        if self._held is not None:
            yield self._held
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
    """The tag that the flag has now; None if Unleash did not take it."""
    warnings: tuple[str, ...]
    """What could not be recorded, in words: the change itself is done."""


def record(admin: UnleashAdmin, change: FlagChange, audit: AuditFile | None) -> Recorded:
    """Put the reason of `change` on its flag, and all of it into the audit file; raises nothing."""
    warnings = [*record_locally(change, audit)]
    try:
        return Recorded(admin.note(change.flag, change.note), tuple(warnings))
    except AdminError as error:
        return Recorded(None, (*warnings, f"Unleash does not keep the reason: {error}"))


def record_locally(entry: FlagChange | Confirmation, audit: AuditFile | None) -> tuple[str, ...]:
    """Append `entry` to the audit file; return what went wrong, in words."""
    if audit is None:
        return ()
    try:
        audit.append(entry)
    except AuditUnwritableError as error:
        return (str(error),)
    return ()
