"""Write docs/reference/settings.md from `flags.serving.declared_settings`."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from flags.serving.declared_settings import DeclaredSettings
from flags.serving.settings import Settings

PAGE: Final = Path(__file__).with_name("reference") / "settings.md"

_INTRODUCTION: Final = """\
# Settings

<!-- Written by docs/settings_page.py from flags/serving/declared_settings.py: change it there. -->

A migrated service reads these environment variables when `migrate` is called, which is at import.
If a value is not allowed, an error names the variable and the service does not start. In code,
`migrate(settings=Settings(flags_file="..."))` sets them by their names in lower case.
"""

_OTHERS: Final = """\
## Other variables

| variable | read by | meaning |
| --- | --- | --- |
| `UNLEASH_ADMIN_TOKEN` | the [commands](cli.md) that read or move the flag | Admin token; \
`UNLEASH_URL` is read too. |
| `UNLEASH_ENVIRONMENT` | the same | Environment in which the flag is read or moved; unset: that \
of the token. |
| `MIGRATION_AUDIT` | the commands that move the flag | File in which each change is recorded; \
default `migration-audit.jsonl`. |
| `PROMETHEUS_URL` | the commands that judge pairs | Prometheus server for the playbook's PromQL \
[alarms](../how-to/alarms.md); its bearer token is in `PROMETHEUS_TOKEN`. |
| `ALERTMANAGER_URL` | the commands that judge pairs | Alertmanager for the playbook's alerts; its \
bearer token is in `ALERTMANAGER_TOKEN`. |
| `MIGRATION_LOOKS` | the commands that judge pairs | File of looks at operational \
alarms; default `migration-looks.jsonl`. |
| `BENTOML_FLAGS_CACHE` | `bentoml migration dashboard`, `candidate_requirements` | Folder of \
the installed unleash-server and of environments; default `~/.cache/bentoml-flags`. |
| `PLACEMENT` | the reference service | `embedded` (its default), `isolated`, \
`runners` or `remote` (at `CANDIDATE_URL`). |
| `SHADOW_BATCH` | the reference service | If 1, v2 scores gathered shadows in one call, \
`embedded` or `isolated`. |
| `API_WORKERS` | the reference service | API worker processes; default 1. |
| `OTEL_RESOURCE_ATTRIBUTES` | OpenTelemetry | Further attributes of the resource of the pairs. |
| `OTEL_SDK_DISABLED` | OpenTelemetry | If true, no pair is recorded; the log says so. |
| `OTEL_EXPORTER_OTLP_*` | OpenTelemetry | The receiver of shipped pair files. |

No other `OTEL_*` variable changes the pairs: their tracer has its own sampler and limits.
"""

_KINDS: Final = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    SecretStr: "secret",
    dict: "JSON object",
    list: "JSON array",
}


def page() -> str:
    """Return the page: one table for each section of the class."""
    return "\n".join([_INTRODUCTION, *(_section(*each) for each in _sections()), _OTHERS])


def _section(title: str, names: list[str]) -> str:
    rows = [_row(name, Settings.model_fields[name]) for name in names]
    head = ["| variable | default | values | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title[0].upper()}{title[1:]}", "", *head, *rows, ""])


def _sections() -> Iterator[tuple[str, list[str]]]:
    """Yield each `# --- title ---` of the class, and the fields below it."""
    parts = re.split(r"\n    # --- (.+?) -+\n", inspect.getsource(DeclaredSettings))
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        fields = re.findall(r"^    (\w+): ", body, re.MULTILINE)
        yield title, [name for name in fields if name in Settings.model_fields]


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name.upper()}`", _default(field), _values(field), field.description or "")
    return f"| {' | '.join(cells)} |"


def _default(field: FieldInfo) -> str:
    default: Any = field.get_default(call_default_factory=True)
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int) and default >= 2**20:
        return f"`{default}` ({default >> 20} MiB)"
    return f"`{default}`"


def _values(field: FieldInfo) -> str:
    if any(getattr(each, "pattern", None) for each in field.metadata):
        return "header name, or empty"
    words = {"ge": ">=", "gt": ">", "le": "<="}
    bounds = [
        f"{sign} {getattr(each, word)}"
        for each in field.metadata
        for word, sign in words.items()
        if getattr(each, word, None) is not None
    ]
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(field.annotation))
    return ", ".join([_KINDS[_kind(field.annotation)], *bounds])


def _kind(annotation: Any) -> type[Any]:
    """Return the class behind an annotation, `| None` and type arguments left out."""
    if get_origin(annotation) is UnionType:
        (annotation,) = (each for each in get_args(annotation) if each is not NoneType)
    kind: type[Any] = get_origin(annotation) or annotation
    return kind


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
