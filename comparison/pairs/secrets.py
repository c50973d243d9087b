"""Remove the secrets in environment variables from the messages of other programs."""

import os
from typing import Final

_NAME_PARTS: Final = ("SECRET", "PASSWORD", "TOKEN", "_KEY", "CONNECTION_STRING")
"""An environment variable with one of these in its name holds a secret."""

_MIN_LENGTH: Final = 4
"""Characters from which on a secret is replaced: shorter ones occur in ordinary words."""


def without_secrets(text: str, *others: str | None) -> str:
    """Replace the values of secret environment variables, and `others`, by stars."""
    secrets = (
        value for name, value in os.environ.items() if any(part in name for part in _NAME_PARTS)
    )
    for value in sorted({*secrets, *filter(None, others)}, key=len, reverse=True):
        if len(value) >= _MIN_LENGTH:
            text = text.replace(value, "***")
    return text
