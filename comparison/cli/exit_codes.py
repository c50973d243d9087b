"""The exit codes of commands that end with a verdict."""

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:  # imported when it is used: the help of a command does without
    from flags.gate import Decision

EXIT_CODES: Final = {"ADVANCE": 0, "HOLD": 10, "ROLLBACK": 20}


class VerdictExit(click.ClickException):
    """Say why a command did not act; the exit code is that of the verdict."""

    def __init__(self, decision: "Decision", why: str) -> None:
        super().__init__(why)
        self.exit_code = EXIT_CODES[decision]  # type: ignore[misc]  # click reads it from here too
