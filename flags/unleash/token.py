"""The environment in an Unleash token.

Its format, `<project>:<environment>.<secret>`, is in Unleash's documentation of API tokens.
"""

import re
from typing import Final

_FORMAT: Final = re.compile(r"[^:]*:(?P<environment>[^.:]+)\.\w+")
_ALL_ENVIRONMENTS: Final = "*"


def token_environment(token: str) -> str | None:
    """Return the environment of `token`.

    None for a token of all environments (admin tokens) and for other formats (personal tokens).
    """
    found = _FORMAT.fullmatch(token.strip())
    environment = found["environment"] if found else _ALL_ENVIRONMENTS
    return None if environment == _ALL_ENVIRONMENTS else environment
