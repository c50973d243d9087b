"""The sides of a pair, and the statuses that a side may have: closed lists of words."""

from typing import Final

SIDES: Final = ("primary", "candidate")

CALLED: Final = frozenset({"ok", "error", "timeout"})
FAILED: Final = frozenset({"error", "timeout"})
"""Statuses of a side that was called, and of those, the ones without an answer."""
STATUSES: Final = ("ok", "error", "timeout", "shed", "skipped")
