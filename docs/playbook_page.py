"""Write docs/reference/playbook.md from the schema of the playbook: run this file."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.durations import duration_text
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook, Step
from flags.playbook.notify import NotifyPlan
from flags.playbook.operational import OperationalAlarmRule, ValueLimits
from flags.playbook.outcomes import OutcomePlan
from flags.playbook.outputs import OutputPlan, SegmentPlan, SideThresholds
from flags.playbook.rollback_limits import RollbackLimits
from flags.playbook.schema import SCHEMA_NAME, schema_text

PAGE: Final = Path(__file__).with_name("reference") / "playbook.md"
SCHEMA: Final = PAGE.with_name(SCHEMA_NAME)

_INTRODUCTION: Final = """\
# Playbook

<!-- Written by docs/playbook_page.py from flags/playbook: change it there. -->

The plan of one migration, in one YAML file. `bentoml migration playbook FILE --flag KEY` writes it
with all defaults and a comment on each, `bentoml migration playbook FILE --check` checks it and
lists every key with its value. A key that is left out has its default. A key that is unknown,
occurs twice or is out of its range is an error with the file, the line and the allowed values.
[Statistics](../explanation/statistics.md) explains the figures that the limits apply to.
Editors complete and check the file by its [schema](playbook.schema.json), which the command writes
beside it. The first line, `# yaml-language-server: $schema=playbook.schema.json`, names the schema.
"""

_SECTIONS: Final = (
    ("The file", "", Playbook),
    (
        "A step",
        "Steps go upwards, stage after stage. Their defaults:\n\n{steps}",
        Step,
    ),
    (
        "A gate",
        "The playbook has one. A step, an output and a segment may have one too, with the limits "
        "that\ndiffer. If several set a limit, the segment's takes precedence over the output's, "
        "and that\nover the step's.",
        Gate,
    ),
    (
        "`gate.advance`",
        "The next step is taken when each interval lies completely within its limits.",
        AdvanceLimits,
    ),
    (
        "`gate.rollback`",
        "The flag is rolled back when an interval lies completely beyond its limit and the\n"
        "candidate answers. Between both limits, the verdict is `HOLD`.",
        RollbackLimits,
    ),
    ("An output", "By its name under `outputs`.", OutputPlan),
    ("Its `threshold`", "", SideThresholds),
    ("A segment", "By its name under `segments`.", SegmentPlan),
    (
        "An operational alarm",
        "By a name of your choice under `alarms`, with one of `prometheus`, `alertmanager` and "
        "`webhook`:\n[operational alarms](../how-to/alarms.md).",
        OperationalAlarmRule,
    ),
    ("Its limits", "For the value of the source.", ValueLimits),
    (
        "Notifications",
        "Messages of `advance` and `autopilot`: [notifications](../how-to/notify.md).",
        NotifyPlan,
    ),
    (
        "An outcome",
        "By the name of its metric under `outcomes`; see [outcomes](../how-to/outcomes.md).",
        OutcomePlan,
    ),
)

_KINDS: Final = {
    "boolean": "true or false",
    "string": "text",
    "number": "number",
    "integer": "whole number",
}

_PARTS: Final = {
    "AdvanceLimits": "[limits](#gateadvance)",
    "RollbackLimits": "[limits](#gaterollback)",
    "Gate": "[gate](#a-gate)",
    "SideThresholds": "[thresholds](#its-threshold)",
    "OutcomePlan": "[outcomes](#an-outcome) by metric",
    "OutputPlan": "[outputs](#an-output) by name",
    "SegmentPlan": "[segments](#a-segment) by name",
    "OperationalAlarmRule": "[operational alarms](#an-operational-alarm) by name",
    "NotifyPlan": "[addresses](#notifications)",
    "ValueLimits": "[limits](#its-limits)",
    "Step": "list of [steps](#a-step)",
}


def page() -> str:
    """Return the page: one table for each part of a playbook."""
    definitions = Playbook.model_json_schema()["$defs"]
    return "\n".join([_INTRODUCTION, *_tables(definitions)])


def _tables(definitions: Mapping[str, Any]) -> Iterator[str]:
    for title, text, model in _SECTIONS:
        schema = Playbook.model_json_schema() if model is Playbook else definitions[model.__name__]
        required = schema.get("required", ())
        lines = [f"## {title}", ""]
        if text:
            lines += [text.format(steps=_steps()), ""]
        lines += ["| key | default | values | meaning |", "| --- | --- | --- | --- |"]
        for name, described in schema["properties"].items():
            default = "required" if name in required else _default(model, name)
            cells = (f"`{name}`", default, _values(described), described["description"])
            lines.append(f"| {' | '.join(cells)} |")
        yield "\n".join([*lines, ""])


def _steps() -> str:
    plan = Playbook(flag="any")
    rows = [
        f"| {step.stage} | {step.rollout} % | `{duration_text(step.hold)}` | {step.min_pairs:,} | "
        f"{plan.labels_wanted(step):,} |"
        for step in plan.steps
    ]
    head = ["| stage | rollout | hold | pairs | labels |", "| --- | --- | --- | --- | --- |"]
    return "\n".join(head + rows)


def _default(model: type[BaseModel], name: str) -> str:
    default = model.model_fields[name].default
    if isinstance(default, timedelta):
        return f"`{duration_text(default)}`"
    if default is None or isinstance(default, BaseModel | dict):
        return "none given"
    if isinstance(default, str):
        return f"`{default}`"
    return "as below" if isinstance(default, tuple) else f"`{default:g}`"


def _values(described: Mapping[str, Any]) -> str:
    """Return what is allowed, from JSON schema."""
    for part, shown in _PARTS.items():
        if f"#/$defs/{part}'" in str(described):
            return shown
    for choice in described.get("anyOf", ()):
        if choice.get("type") != "null":
            return _values(choice)
    if "enum" in described:
        return ", ".join(f"`{each}`" for each in described["enum"])
    if "const" in described:
        return f"`{described['const']}`"
    if "pattern" in described:
        return "duration"
    if described.get("type") == "array":
        return f"list of {_KINDS[described['items']['type']]}"
    words = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<="}
    bounds = [f"{sign} {described[word]:g}" for word, sign in words.items() if word in described]
    return ", ".join([_KINDS[described["type"]], *bounds])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
