"""A note on a flag, stored as a tag, because Unleash's event log stores no other text."""

import contextlib
from collections.abc import Iterable
from typing import Final

from flags.unleash.admin.api import AdminApi
from flags.unleash.admin.errors import ItemMissingError, NameTakenError

NOTE_TYPE: Final = "migration"
"""Type of the tag that holds the note."""

_COLOUR: Final = "#6C65E5"
_DESCRIPTION: Final = "What was done last to the migration of this flag, and why"
_LENGTH: Final = 50
"""Maximum length of a tag in UTF-16 units, as JavaScript counts them; the minimum is 2."""


def put_note(api: AdminApi, key: str, text: str) -> str:
    """Set `text` as the flag's only tag of the type NOTE_TYPE; return the text as stored."""
    value = fitting(text)
    _ensure_type(api)
    tags = api.call("GET", "features", key, "tags")["tags"]
    old = [each["value"] for each in tags if each["type"] == NOTE_TYPE]
    if old:  # a separate request: removed and added in one, the same text would not be logged
        _put(api, key, removed=old)
    _put(api, key, added=[value])
    return value


def fitting(text: str) -> str:
    """Return `text` on one line, cut to the length of a tag."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    words = " ".join(printable.split()) or "-"
    if _units(words) < 2:
        return f"{words} -"
    if _units(words) <= _LENGTH:
        return words
    while _units(words) > _LENGTH - 1:
        words = words[:-1]
    return words.rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _put(
    api: AdminApi, key: str, *, added: Iterable[str] = (), removed: Iterable[str] = ()
) -> None:
    body = {
        "addedTags": [{"type": NOTE_TYPE, "value": value} for value in added],
        "removedTags": [{"type": NOTE_TYPE, "value": value} for value in removed],
    }
    api.call("PUT", "features", key, "tags", body=body)


def _ensure_type(api: AdminApi) -> None:
    try:
        api.call("GET", "tag-types", NOTE_TYPE)
    except ItemMissingError:
        body = {"name": NOTE_TYPE, "description": _DESCRIPTION, "color": _COLOUR}
        with contextlib.suppress(NameTakenError):  # created by somebody else meanwhile
            api.call("POST", "tag-types", body=body)
