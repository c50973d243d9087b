"""Say whether somebody waits for what is being done."""

from contextvars import ContextVar
from typing import Final

nobody_waits: Final[ContextVar[bool]] = ContextVar("bentoml_flags_nobody_waits", default=False)
"""True in a task whose answer has left: its calls let those pass for which a caller waits."""
