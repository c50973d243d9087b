"""What a command says of bad input: one message on stderr, and exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from comparison.errors import ComparisonError
from flags.errors import FlagsError
from flags.printable import printable

EXTRA: Final = ("ibis", "duckdb", "pyarrow", "scipy", "jinja2", "markupsafe")
"""Modules that come with the extra `comparison`."""


class Refusal(click.ClickException):
    """Show a domain error as one message on stderr; exit code 2, as for any bad input."""

    exit_code = 2


@contextmanager
def refusals() -> Iterator[None]:
    """Turn domain errors, and what is not installed, into a Refusal."""
    try:
        yield
    except (ComparisonError, FlagsError) as error:
        lines = map(printable, str(error).split("\n"))  # names in it may be anybody's
        raise Refusal("\n".join(lines)) from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise Refusal(
            f"{error.name} is not installed: it comes with the extra `comparison` of bentoml-flags "
            "(in a clone: pip install '.[comparison]')"
        ) from error


def write(path: Path, content: bytes) -> None:
    """Write a file whole; a Refusal says why it cannot be."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror or error}") from error


def warn(problem: str) -> None:
    """Print a warning on stderr."""
    click.echo(f"Warning: {printable(problem)}", err=True)
