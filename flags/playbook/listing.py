"""The keys of a playbook as a listing: value in force, whether it is given, and meaning."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel

from flags.playbook.durations import duration_text
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook
from flags.playbook.operational import OperationalAlarmRule, ValueLimits
from flags.playbook.outcomes import OutcomePlan
from flags.playbook.rollback_limits import RollbackLimits

_OF_THE_FILE: Final = (
    "error_rate",
    "warm_up",
    "label_cut_off",
    "labels",
    "judged_by",
    "segments",
    "features",
)
_ALL_RECORDED: Final = {"segments", "features"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One key; `exceptions` are (step, output or segment, its own value of the key)."""

    key: str
    value: str
    is_given: bool
    meaning: str
    exceptions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """The keys of one part of a playbook."""

    name: str
    meaning: str
    entries: tuple[Entry, ...]


def groups(plan: Playbook) -> Iterator[Group]:
    """Yield all parts of a playbook except its steps."""
    entries = tuple(_entry(plan, name) for name in _OF_THE_FILE)
    yield Group("playbook", "", entries)
    for part, field in Gate.model_fields.items():
        yield Group(f"gate.{part}", field.description or "", tuple(_limits(plan, part)))
    for kind in ("outputs", "outcomes", "alarms"):
        for name, each in getattr(plan, kind).items():
            yield Group(f"{kind}.{name}", "", tuple(_entries(each)))
    if plan.notify.urls:
        yield Group("notify", Playbook.model_fields["notify"].description or "", _notify(plan))


def _notify(plan: Playbook) -> tuple[Entry, ...]:
    """Return the keys of `notify`; of its addresses the number only, as they may hold secrets."""
    entries = {each.key: each for each in _entries(plan.notify)}
    urls = entries.pop("urls")
    return (Entry("urls", f"{len(plan.notify.urls)}", True, urls.meaning), *entries.values())


def _limits(plan: Playbook, part: str) -> Iterator[Entry]:
    limits = getattr(plan.gate, part)
    for name in type(limits).model_fields:
        yield _entry(limits, name, tuple(_exceptions(plan, part, name)))


def _exceptions(plan: Playbook, part: str, name: str) -> Iterator[tuple[str, str]]:
    gates = [
        *((f"steps: {step.name}", step.gate) for step in plan.steps),
        *((f"outputs.{output}", each.gate) for output, each in plan.outputs.items()),
        *((f"segments.{segment}", each.gate) for segment, each in (plan.segments or {}).items()),
    ]
    for where, gate in gates:
        limits = getattr(gate, part)
        if name in limits.model_fields_set:
            yield where, _written(getattr(limits, name))


def _entries(part: BaseModel) -> Iterator[Entry]:
    """Yield the keys of one output, outcome or alarm; keys without a value are left out."""
    for name in type(part).model_fields:
        entry = _entry(part, name)
        if name != "gate" and (entry.is_given or entry.value != "-"):
            yield entry


def _entry(part: BaseModel, name: str, exceptions: tuple[tuple[str, str], ...] = ()) -> Entry:
    value = _in_force(part, name)
    written = "all" if value is None and name in _ALL_RECORDED else _written(value)
    meaning = type(part).model_fields[name].description or ""
    return Entry(name, written, name in part.model_fields_set, meaning, exceptions)


def _in_force(part: BaseModel, name: str) -> Any:
    """Return the value in force: some keys that are not given follow from other keys."""
    match part, name:
        case RollbackLimits(), _:
            return part.limit(name)
        case OutcomePlan(), "advance":
            return part.margin
        case OutcomePlan(), "cap":
            return part.cap_in_force
        case OperationalAlarmRule(), "hold":
            return part.hold_limits
    return getattr(part, name)


def _written(value: Any) -> str:
    """Format a value as in a playbook; a part or list in one line, no value as a dash."""
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return duration_text(value)
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else f"{value}"
        case ValueLimits():
            return str(value) or "-"
        case BaseModel():
            inner = ((name, each) for name, each in value if each is not None)
            return ", ".join(f"{name} {_written(each)}" for name, each in inner) or "-"
        case dict() | tuple():
            return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
