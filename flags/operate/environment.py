"""The variables of the environment that a playbook names: secrets are not in its file."""

import re
from collections.abc import Mapping

from flags.errors import VariableMissingError


def fill_in(text: str, environment: Mapping[str, str]) -> str:
    """Replace each `${NAME}`; raises VariableMissingError, which names the variable only."""
    return re.sub(r"\$\{(\w+)\}", lambda found: variable(found[1], environment), text)


def variable(name: str, environment: Mapping[str, str]) -> str:
    """Return a variable; raises VariableMissingError if it is not set, or empty."""
    value = environment.get(name, "")
    if not value:
        raise VariableMissingError(f"the environment variable {name} is not set")
    return value
