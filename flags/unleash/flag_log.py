"""A log of the flags of a source that writes each problem once, not at each poll."""

import logging
from collections.abc import Collection, Mapping
from typing import Final

from flags.unleash.definition import FlagDefinition
from flags.unleash.document import FlagDocument, quoted

logger = logging.getLogger(__name__)

_MAX_NAMES: Final = 5
"""Flags that a log line names."""

_MAX_ERRORS: Final = 5
"""Different errors that are logged until the source is good again."""


class FlagLog:
    """A log of new problems of the source at `where`."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._logged_errors: set[str] = set()
        self._logged_left_out: Mapping[str, str] = {}

    def error(self, error: str | None, consequence: str) -> None:
        """Log each error once until the source is good again; log that, too (`error` is None)."""
        if error is None:
            if self._logged_errors:
                logger.warning("%s is good again", self._where)
            self._logged_errors.clear()
        elif error not in self._logged_errors and len(self._logged_errors) < _MAX_ERRORS:
            self._logged_errors.add(error)
            logger.warning("%s; %s", error, consequence)

    def left_out(self, left_out: Mapping[str, str]) -> None:
        """Log flags that are newly left out, or for a new reason."""
        new = [name for name, why in left_out.items() if self._logged_left_out.get(name) != why]
        if new:
            why = left_out[new[0]]
            logger.warning("%s: left out is %s: %s", self._where, listed(new), why)
        if self._logged_left_out and not left_out:
            logger.warning("%s: no flag is left out any more", self._where)
        self._logged_left_out = left_out

    def gone(self, flags: Collection[str]) -> None:
        """Log that flags have been removed from the source."""
        if flags:
            logger.warning(
                "%s no longer has %s; callers get their default", self._where, listed(flags)
            )


def changed(before: FlagDocument | None, document: FlagDocument) -> list[str]:
    """Return the names of the flags that were added, removed or changed."""
    old = before.flags if before else {}
    return [
        name
        for name in {*old, *document.flags}
        if _content(old, name) != _content(document.flags, name)
    ]


def listed(flags: Collection[str]) -> str:
    """Name up to five flags; if there are several, also say how many."""
    named = ", ".join(quoted(each) for each in sorted(flags)[:_MAX_NAMES])
    kind = "the flag" if len(flags) == 1 else f"{len(flags)} flags:"
    return f"{kind} {named}{', ...' if len(flags) > _MAX_NAMES else ''}"


def _content(flags: Mapping[str, FlagDefinition], name: str) -> str | None:
    return flags[name].content if name in flags else None
