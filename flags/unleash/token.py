"""The environment that is written in an Unleash token.

Source of the form: Unleash's documentation of API tokens, `<project>:<environment>.<secret>`.
"""

import re
from typing import Final

_FORM: Final = re.compile(r"[^:]*:(?P<environment>[^.:]+)\.\w+")
_EVERY: Final = "*"


def token_environment(token: str) -> str | None:
    """Return the environment that `token` is bound to.

    None for a token of every environment, as admin tokens are, and for one of another form, such
    as a personal token.
    """
    found = _FORM.fullmatch(token.strip())
    environment = found["environment"] if found else _EVERY
    return None if environment == _EVERY else environment
