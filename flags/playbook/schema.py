"""The JSON schema of a playbook, by which editors complete and check the file."""

import json
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from flags.playbook.durations import duration_text
from flags.playbook.model import Playbook

SCHEMA_NAME: Final = "playbook.schema.json"
"""Name of the file that is written beside a playbook."""

_NULL: Final[JsonSchemaValue] = {"type": "null"}


class _AsWritten(GenerateJsonSchema):
    """Describes what YAML may hold: durations as text, and nothing after the key of a part."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Give each value its default; a part may be left empty, and has those of its keys."""
        default = schema.get("default")
        if isinstance(default, BaseModel | dict):
            return _or_nothing(self.generate_inner(schema["schema"]))
        if isinstance(default, tuple):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Let a name stand alone: `channel:` has all defaults."""
        found = super().dict_schema(schema)
        found["additionalProperties"] = _or_nothing(found["additionalProperties"])
        return found

    def encode_default(self, dft: Any) -> Any:
        """Write a duration as a playbook does."""
        return duration_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _or_nothing(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [schema, _NULL]}


def playbook_schema() -> dict[str, Any]:
    """Return the schema, of draft 2020-12."""
    found = Playbook.model_json_schema(schema_generator=_AsWritten)
    return {"$schema": GenerateJsonSchema.schema_dialect, **found}


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(playbook_schema(), indent=2, ensure_ascii=False) + "\n"
