"""Environment variables that a playbook refers to, so that its file holds no secrets."""

import re
from collections.abc import Mapping

from flags.errors import VariableMissingError


def fill_in(text: str, environment: Mapping[str, str]) -> str:
    """Replace each `${NAME}` by the variable. Raises VariableMissingError."""
    return re.sub(r"\$\{(\w+)\}", lambda found: variable(found[1], environment), text)


def variable(name: str, environment: Mapping[str, str]) -> str:
    """Return a variable. Raises VariableMissingError if it is unset or empty."""
    value = environment.get(name, "")
    if not value:
        raise VariableMissingError(f"the environment variable {name} is not set")
    return value
