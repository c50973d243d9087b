"""Reads a playbook from a YAML file; errors name the file, line, key and allowed values."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flags.errors import PlaybookError
from flags.playbook.model import KeyPath, Playbook, dotted

_REQUIREMENTS: Final = {
    "bool_type": "must be true or false",
    "dict_type": "must be keys and values",
    "model_type": "must be keys and values",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
}
"""By pydantic's type of error, the requirement in words that a writer of YAML knows."""


def read_playbook(path: Path) -> Playbook:
    """Return the playbook in a file; a PlaybookError has one line for each error."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PlaybookError(
            f"{path} is not there: `bentoml migration playbook {path} --flag KEY` writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlaybookError(f"{path} cannot be read as a playbook: {error}") from None
    return parse_playbook(text, str(path))


def parse_playbook(text: str, origin: str) -> Playbook:
    """Return the playbook in YAML `text`; errors name `origin` and the line."""
    try:
        loader = yaml.SafeLoader(text)
        top = loader.get_single_node()
        if not isinstance(top, yaml.MappingNode):
            raise PlaybookError(f"{origin}:1: a playbook is keys and values, such as `flag: KEY`")
        if errors := [f"{origin}:{line}: {key} is there twice" for line, key in _duplicates(top)]:
            raise PlaybookError("\n".join(errors))
        content = loader.construct_document(top)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise PlaybookError(f"{origin}{line}: no YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # e.g. control characters
        raise PlaybookError(f"{origin}: no YAML: {error}") from None
    try:
        return Playbook.model_validate(content)
    except ValidationError as error:
        lines = sorted(_problem(each, top) for each in error.errors() if not _is_repeated(each))
        raise PlaybookError("\n".join(f"{origin}:{line}: {what}" for line, what in lines)) from None


def _duplicates(top: yaml.Node) -> Iterator[tuple[int, str]]:
    """Yield (line, key) of keys that occur twice in a mapping: YAML would take the last one."""
    queue, seen = [top], set()
    while queue:
        node = queue.pop()
        if id(node) in seen:  # an alias may lead back
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            queue += node.value
        if isinstance(node, yaml.MappingNode):
            keys: set[Any] = set()
            for key, value in node.value:
                queue.append(value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in keys:
                    yield key.start_mark.line + 1, key.value
                keys.add(key.value)


def _is_repeated(error: Any) -> bool:
    """Say whether an error ("too short") only follows from errors of the list's items."""
    return error["type"] == "too_short" and bool(error["input"])


def _problem(error: Any, top: yaml.Node) -> tuple[int, str]:
    """Return the line of an error, and the error in words with the allowed values."""
    context = error.get("ctx", {})
    path: KeyPath = context["at"] if error["type"] == "conflict" else error["loc"]
    line, is_given = _line(top, path)
    key, value = dotted(path) or "the playbook", error["input"]
    match error["type"]:
        case "conflict":
            return line, context["message"]
        case "extra_forbidden":
            return line, f"{key} is unknown{_suggestion(path)}"
        case "missing":
            return line, f"{key} is missing"
        case "literal_error":
            return line, f"{key} is {value!r}: must be {_choices(path)}"
        case "value_error":
            return line, f"{key}: {context['error']}"
    given = f" is {value!r}" if is_given and isinstance(value, str | int | float | None) else ""
    message = error["msg"][0].lower() + error["msg"][1:]
    required = _REQUIREMENTS.get(error["type"]) or message.replace("input should", "must")
    return line, f"{key}{given}: {required}"


def _line(top: yaml.Node, path: KeyPath) -> tuple[int, bool]:
    """Return the line of a key and True; if it is missing, the line of its parent and False."""
    node, line = top, top.start_mark.line
    for part in path:
        inner = _inner(node, part)
        if inner is None:
            return line + 1, False
        node, line = inner
    return line + 1, True


def _inner(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    """Return the node at key or index `part` of a node, and its line; None if there is none."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark.line
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        inner = node.value[part]
        return inner, inner.start_mark.line
    return None


def _suggestion(path: KeyPath) -> str:
    """Return the known key that is most similar to an unknown one, else all known keys."""
    known = list(_model(path[:-1]).model_fields)
    near = get_close_matches(str(path[-1]), known, 1)
    return f": did you mean {near[0]}?" if near else f": known are {', '.join(known)}"


def _choices(path: KeyPath) -> str:
    """Return the allowed values of a key, as `a, b or c`."""
    choices = _literals(_model(path[:-1]).model_fields[str(path[-1])].annotation)
    return " or ".join([*([", ".join(choices[:-1])] if choices[1:] else []), choices[-1]])


def _literals(annotation: Any) -> list[str]:
    """Return the texts of a `Literal`, also if it is part of a union."""
    found: list[str] = []
    for each in get_args(annotation):
        found += [each] if isinstance(each, str) else _literals(each)
    return found


def _model(path: KeyPath) -> type[BaseModel]:
    """Return the pydantic model at a path. Items and names have the model of their key."""
    model: type[BaseModel] = Playbook
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = _innermost(model.model_fields[part].annotation) or model
    return model


def _innermost(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `dict[str, Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_innermost(each) for each in get_args(annotation))
    return next((each for each in inner if each), None)
