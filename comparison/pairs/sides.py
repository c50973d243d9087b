"""The sides of a pair, and the possible statuses of a side."""

from typing import Final

SIDES: Final = ("primary", "candidate")

CALLED: Final = frozenset({"ok", "error", "timeout"})
"""Statuses of a side that was called."""
FAILED: Final = frozenset({"error", "timeout"})
"""Statuses of a side that was called and gave no answer."""
STATUSES: Final = ("ok", "error", "timeout", "shed", "skipped")
