"""Messages of other programs without the secrets of this environment."""

import os
from typing import Final

_TELLING: Final = ("SECRET", "PASSWORD", "TOKEN", "_KEY", "CONNECTION_STRING")
"""What the names of variables hold whose values nobody should read."""

_LEAST: Final = 4
"""Characters of a secret: a shorter one would hide words."""


def without_secrets(text: str, *others: str | None) -> str:
    """Replace by stars what secret variables hold, and `others`."""
    held = (value for name, value in os.environ.items() if any(part in name for part in _TELLING))
    for value in sorted({*held, *filter(None, others)}, key=len, reverse=True):
        if len(value) >= _LEAST:
            text = text.replace(value, "***")
    return text
