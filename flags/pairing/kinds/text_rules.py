"""Rules for texts: formats that a text should have."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from flags.errors import ReadingError

Format = str | Mapping[str, Any] | type | Callable[[str], bool]
"""A regular expression, a JSON schema, a pydantic model or another type, or a callable."""

Rule = Callable[[str], bool]
"""Say whether a text satisfies the rule; an exception means no."""


def satisfies(rule: Rule, text: str) -> bool:
    """Say whether a text satisfies a rule; if the rule raises, it does not."""
    try:
        return bool(rule(text))
    except Exception:  # the rule is the user's
        return False


def rule_of(name: str, declared: Format) -> Rule:
    """Return the rule for a declared format. Raises ReadingError."""
    if isinstance(declared, str):
        occurs = pattern(name, declared).search
        return lambda text: occurs(text) is not None
    if isinstance(declared, Mapping):
        return _json_schema(name, declared)
    if isinstance(declared, type):
        adapter: TypeAdapter[Any] = TypeAdapter(declared)
        return lambda text: adapter.validate_json(text) is not None or True
    if callable(declared):
        return declared
    raise ReadingError(
        f"format {name} is {declared!r}: it must be a regular expression, a JSON schema, a type or "
        "a callable"
    )


def pattern(name: str, text: str) -> "re.Pattern[str]":
    """Compile a regular expression. Raises ReadingError."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ReadingError(f"{name} is not a regular expression: {error}") from error


def _json_schema(name: str, schema: Mapping[str, Any]) -> Callable[[str], bool]:
    try:
        from jsonschema import SchemaError
        from jsonschema.validators import validator_for
    except ModuleNotFoundError:
        raise ReadingError(
            f"format {name} is a JSON schema, which needs the extra `text` of bentoml-flags (in a "
            "clone: pip install '.[text]'); a pydantic model needs nothing"
        ) from None
    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ReadingError(f"format {name} is not a JSON schema: {error.message}") from error
    validator = kind(schema)
    return lambda text: validator.is_valid(json.loads(text))
