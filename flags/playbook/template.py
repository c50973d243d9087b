"""The template of a playbook: YAML with every default and a comment on each key."""

import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flags.errors import PlaybookError
from flags.files import replace_file
from flags.playbook.durations import duration_text
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook, Step
from flags.playbook.schema import SCHEMA_NAME, schema_text

_WIDTH: Final = 96

_SCHEMA_LINE: Final = f"# yaml-language-server: $schema={SCHEMA_NAME}\n"
"""First line, from which editors take the schema; its path is relative to the playbook."""

_HEAD: Final = """\
The playbook of one migration: which percentage of requests the candidate answers, for how long, and
what must be shown before the next step. All values below are the defaults: what is left out stays
as it is here. Durations are a number and a unit: 7d, 48h, 90m, 30s, 250ms.

Check it after a change: bentoml migration playbook FILE --check
"""

_EXAMPLES: Final = """\
# Settings and limits of single outputs. They win over the limits of the step.
# outputs:
#   probability:
#     threshold: {primary: 0.5, candidate: 0.93}
#     gate:
#       advance: {alarm_ratio: 1.2}
#       rollback: {alarm_ratio: 1.5}

# Outcomes, by metric. Metrics that are left out are taken as binary, and as worse if they rise.
# outcomes:
#   complaint:
#     cut_off: 7d
#   money_lost: {kind: continuous, by: unit, cap: 5000, cut_off: 14d}

# Segments that are checked, and limits that differ for one of them. Left out: all recorded ones.
# segments:
#   channel:
#   country:
#     gate:
#       advance: {segment_alarm_ratio: 2}
#       rollback: {segment_alarm_ratio: 3}

# Operational alarms of other systems. A firing one holds, a lasting one rolls back.
# alarms:
#   review_queue:
#     prometheus: sum(review_queue_length)
#     hold: {above: 200}
#     rollback: {above: 500}
#   pages:
#     alertmanager: [severity=page, team=fraud]
#   change_freeze:
#     webhook: https://change.example/freeze

# Notifications by apprise; ${NAME} is a variable of the environment, in which secrets belong.
# notify:
#   urls: ["${SLACK_URL}", "mailto://pilot:${MAIL_PASSWORD}@mail.example"]
#   link: https://fraud.example/migration

# Features whose drift is described. Left out: all recorded ones.
# features: [amount, customer_age]
"""

_STEPS: Final = """\
The steps, upwards; going down is always allowed. From min_labels 1 on, recall and average precision
must pass: this is the default before 50 % is reached, unless a step says `min_labels: 0`. A step
may have limits of its own, such as `gate: {advance: {alarm_ratio: 1.2}}`. With `approval:
required`, only a person takes the next step.
"""


def playbook_template(flag: str) -> str:
    """Return the commented YAML of a playbook with all defaults."""
    playbook = Playbook(flag=flag)
    fields = Playbook.model_fields
    parts = [_SCHEMA_LINE + _comment(_HEAD)]
    parts += [
        _comment(fields[name].description or "") + _pair(name, getattr(playbook, name))
        for name in ("flag", "error_rate", "warm_up", "label_cut_off", "labels", "judged_by")
    ]
    parts.append(_EXAMPLES)
    parts.append("gate:\n" + "".join(_gate(playbook.gate)))
    parts.append(_comment(_STEPS) + "steps:\n" + "".join(_step(each) for each in playbook.steps))
    return "\n".join(parts)


def write_playbook(path: Path, flag: str, *, force: bool = False) -> None:
    """Write the template, and beside it the schema that its first line names.

    Raises PlaybookError if the file exists (without `force`) or its folder does not. An existing
    schema is replaced.
    """
    if not path.parent.is_dir():  # a typing error must not create a folder
        raise PlaybookError(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        replace_file(path, playbook_template(flag).encode(), overwrite=force)
        replace_file(path.with_name(SCHEMA_NAME), schema_text().encode())
    except FileExistsError:
        raise PlaybookError(f"{path} is there already: --force overwrites it") from None
    except OSError as error:
        raise PlaybookError(f"{path} cannot be written: {error.strerror}") from None


def _gate(gate: Gate) -> Iterator[str]:
    for name, field in Gate.model_fields.items():
        yield _comment(field.description or "", 2) + f"  {name}:\n"
        limits: BaseModel = getattr(gate, name)
        for limit, described in type(limits).model_fields.items():
            yield _described(limit, getattr(limits, limit), described, 4)


def _described(name: str, value: Any, field: FieldInfo, indent: int) -> str:
    """Format a key with its comment in the same line, so that the limits look like a table."""
    line = " " * indent + _pair(name, value).rstrip()
    return f"{line:<36}# {field.description}\n"


def _step(step: Step) -> str:
    given = ((name, getattr(step, name)) for name in Step.model_fields if name != "gate")
    lines = [_pair(name, value) for name, value in given if value is not None]
    return "  - " + "    ".join(lines)


def _pair(name: str, value: Any) -> str:
    if isinstance(value, timedelta):
        value = duration_text(value)
    return yaml.safe_dump({name: value if isinstance(value, int | float) else str(value)})


def _comment(text: str, indent: int = 0) -> str:
    lines = "\n\n".join(
        textwrap.fill(each, _WIDTH - indent) for each in text.strip().split("\n\n")
    ).split("\n")
    return "".join(" " * indent + f"# {line}".rstrip() + "\n" for line in lines)
