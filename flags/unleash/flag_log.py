"""What is logged of the flags of a source: each thing once, and not at each look."""

import logging
from collections.abc import Collection, Mapping
from typing import Final

from flags.unleash.definition import FlagDefinition
from flags.unleash.document import FlagDocument, shown

logger = logging.getLogger(__name__)

_NAMED: Final = 5
"""Flags that a log line names."""

_REASONS: Final = 5
"""Reasons that are logged until the source is good again, should it find new ones at each look."""


class FlagLog:
    """Log what is new of the source at `where`."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._told_errors: set[str] = set()
        self._told_left_out: Mapping[str, str] = {}

    def error(self, error: str | None, consequence: str) -> None:
        """Log each reason once while the source is bad, and once that it is good again."""
        if error is None:
            if self._told_errors:
                logger.warning("%s is good again", self._where)
            self._told_errors.clear()
        elif error not in self._told_errors and len(self._told_errors) < _REASONS:
            self._told_errors.add(error)
            logger.warning("%s; %s", error, consequence)

    def left_out(self, left_out: Mapping[str, str]) -> None:
        """Log which flags are left out, once for each reason that is new."""
        new = [name for name, why in left_out.items() if self._told_left_out.get(name) != why]
        if new:
            why = left_out[new[0]]
            logger.warning("%s: left out is %s: %s", self._where, listed(new), why)
        if self._told_left_out and not left_out:
            logger.warning("%s: no flag is left out any more", self._where)
        self._told_left_out = left_out

    def gone(self, flags: Collection[str]) -> None:
        """Log which flags are no longer there."""
        if flags:
            logger.warning(
                "%s no longer has %s; callers get their default", self._where, listed(flags)
            )


def changed(before: FlagDocument | None, document: FlagDocument) -> list[str]:
    """Return the flags that are new, gone, or otherwise defined."""
    old = before.flags if before else {}
    return [
        name
        for name in {*old, *document.flags}
        if _content(old, name) != _content(document.flags, name)
    ]


def listed(flags: Collection[str]) -> str:
    """Name some flags, and say how many there are."""
    named = ", ".join(shown(each) for each in sorted(flags)[:_NAMED])
    kind = "the flag" if len(flags) == 1 else f"{len(flags)} flags:"
    return f"{kind} {named}{', ...' if len(flags) > _NAMED else ''}"


def _content(flags: Mapping[str, FlagDefinition], name: str) -> str | None:
    return flags[name].content if name in flags else None
