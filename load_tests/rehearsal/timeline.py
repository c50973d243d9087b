"""The printed timeline of the rehearsal: when, who, what."""

import textwrap
import time
from typing import Final

_INDENT: Final = 24
_WIDTH: Final = 110


class Timeline:
    """A printer of lines such as `2:31  gate       HOLD: held for 12s of 25s`, since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def stage(self, name: str) -> None:
        """Print the heading of a stage."""
        print(f"\n{name.upper()}", flush=True)

    def tell(self, who: str, what: str) -> None:
        """Print an action or a message; further lines are indented."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        lines = [
            part
            for line in what.splitlines() or [""]
            for part in textwrap.wrap(line, _WIDTH - _INDENT) or [""]
        ]
        head = f"{minutes:4}:{seconds:02}  {who:<13}  "
        print(
            f"{head}{lines[0]}", *(" " * _INDENT + line for line in lines[1:]), sep="\n", flush=True
        )
