"""Record an act where people look for it: on the flag, and in the audit file."""

from dataclasses import dataclass

from flags.errors import AuditUnwritableError
from flags.operate.acts import DoneAct, Following
from flags.operate.audit import AuditFile
from flags.unleash.admin import UnleashAdmin
from flags.unleash.admin.errors import AdminError


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a record."""

    note: str | None
    """The tag that the flag has now; None if Unleash did not take it."""
    warnings: tuple[str, ...]
    """What could not be recorded, in words: the act itself is done."""


def record(admin: UnleashAdmin, act: DoneAct, audit: AuditFile | None) -> Recorded:
    """Put the reason of `act` on its flag, and all of it into the audit file; raises nothing."""
    warnings = [*record_locally(act, audit)]
    try:
        return Recorded(admin.note(act.flag, act.note), tuple(warnings))
    except AdminError as error:
        return Recorded(None, (*warnings, f"Unleash does not keep the reason: {error}"))


def record_locally(entry: DoneAct | Following, audit: AuditFile | None) -> tuple[str, ...]:
    """Append `entry` to the audit file; return what went wrong, in words."""
    if audit is None:
        return ()
    try:
        audit.append(entry)
    except AuditUnwritableError as error:
        return (str(error),)
    return ()
