"""The JSON schema of a playbook, with which editors complete and check the file."""

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


class _YamlSchema(GenerateJsonSchema):
    """The schema of the YAML text: durations are strings, and a part may be left empty."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Add the default of a value; a part has none of its own, and may be left empty."""
        default = schema.get("default")
        if isinstance(default, BaseModel | dict):
            return _nullable(self.generate_inner(schema["schema"]))
        if isinstance(default, tuple):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Allow a name with nothing after it: `channel:` has all defaults."""
        found = super().dict_schema(schema)
        found["additionalProperties"] = _nullable(found["additionalProperties"])
        return found

    def encode_default(self, dft: Any) -> Any:
        """Format a duration as in a playbook."""
        return duration_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _nullable(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [schema, _NULL]}


def playbook_schema() -> dict[str, Any]:
    """Return the JSON schema of a playbook, draft 2020-12."""
    found = Playbook.model_json_schema(schema_generator=_YamlSchema)
    return {"$schema": GenerateJsonSchema.schema_dialect, **found}


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(playbook_schema(), indent=2, ensure_ascii=False) + "\n"
