"""The JSON schema of a verdict document, from its dataclasses and their fields' docstrings."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from textwrap import dedent
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from comparison.report.verdict_document import VerdictDocument
from flags.gate.evidence import is_written
from flags.pairing.kinds import registry


class _FiniteNumbers(GenerateJsonSchema):
    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        """Allow null: JSON has no infinity."""
        return {"anyOf": [super().float_schema(schema), {"type": "null"}]}


def schema() -> dict[str, Any]:
    """Return the JSON schema of a verdict document."""
    found = _schema_of(VerdictDocument)
    parts = found["$defs"]
    kinds = [module.EVIDENCE for module in registry.layer("flags.gate.checks").values()]
    for kind in kinds:
        of_kind = _schema_of(kind)
        parts |= {**of_kind.pop("$defs", {}), **parts, kind.__name__: of_kind}
    parts["Evidence"]["properties"]["answers"]["items"] = {
        "anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds]
    }
    for part in dict.fromkeys(each for root in (VerdictDocument, *kinds) for each in _parts(root)):
        _complete(found if part is VerdictDocument else parts[part.__name__], part)
    for unwritten in ("AnswerEvidence", "Period"):
        parts.pop(unwritten)
    return {"$schema": GenerateJsonSchema.schema_dialect, **found}


def _schema_of(dataclass_: type[Any]) -> dict[str, Any]:
    return TypeAdapter(dataclass_).json_schema(
        mode="serialization", schema_generator=_FiniteNumbers
    )


def _parts(dataclass_: type[Any]) -> Iterator[type[Any]]:
    """Yield a dataclass, and all dataclasses that its fields lead to."""
    yield dataclass_
    for hint in get_type_hints(dataclass_).values():
        for each in _types(hint):
            if isinstance(each, type) and is_dataclass(each):
                yield from _parts(each)


def _types(hint: Any) -> Iterator[Any]:
    yield hint
    for each in get_args(hint):
        yield from _types(each)


def _complete(part: dict[str, Any], dataclass_: type[Any]) -> None:
    """Describe the fields of a dataclass in its schema, and remove those that are not written."""
    descriptions = _descriptions(dataclass_)
    for each in fields(dataclass_):
        if not is_written(each):
            part["properties"].pop(each.name)
            if each.name in part.get("required", ()):
                part["required"].remove(each.name)
        elif each.name in descriptions:
            part["properties"][each.name]["description"] = descriptions[each.name]
    if "description" in part:
        part["description"] = _with_null(part["description"])


def _descriptions(dataclass_: type[Any]) -> Mapping[str, str]:
    """Return the docstrings of a dataclass's fields, those of its base classes too."""
    found = {}
    for each in reversed(dataclass_.__mro__[:-1]):
        body = ast.parse(dedent(inspect.getsource(each))).body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class
        for field, docstring in zip(body.body, body.body[1:], strict=False):
            match field, docstring:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = _with_null(" ".join(text.split()))
    return found


def _with_null(text: str) -> str:
    return re.sub(r"\bNone\b", "null", text)
