"""The refusal of bad input: one message on stderr, and exit code 2."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from comparison.errors import (
    ComparisonError,
    LabelsUnfitError,
    LabelWordError,
    MemoryLackingError,
    SeveralFlagsError,
)
from flags.errors import FlagsError
from flags.files import replace_file
from flags.printable import printable

EXTRA: Final = ("ibis", "duckdb", "pyarrow", "scipy", "jinja2", "markupsafe")
"""Modules that come with the extra `comparison`."""


class Refusal(click.ClickException):
    """Show a domain error as one message on stderr; exit code 2, as for any bad input."""

    exit_code = 2


@contextmanager
def refusals() -> Iterator[None]:
    """Turn domain errors, and errors about modules that are not installed, into a Refusal."""
    try:
        yield
    except (ComparisonError, FlagsError) as error:
        lines = map(printable, str(error).split("\n"))  # names in it may come from users
        raise Refusal("\n".join(lines) + printable(_remedy(error))) from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise Refusal(
            f"{error.name} is not installed: it comes with the extra `comparison` of bentoml-flags "
            "(in a clone: pip install '.[comparison]')"
        ) from error


def _remedy(error: Exception) -> str:
    """Return text that names the option against an error; "" without one."""
    match error:
        case SeveralFlagsError():
            return f" with --flag, for example --flag {error.flags[0]}"
        case MemoryLackingError():
            return " (--since)"
        case LabelWordError():
            return "; --label-values maps other words, e.g. fraud=1,legit=0"
        case LabelsUnfitError():
            return " with --label-values, e.g. 1=spam,0=ham"
    return ""


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises Refusal if that fails.

    An earlier file stays if the disk is full. A pipe or a device is written to directly.
    """
    target = path.resolve()
    try:
        if not target.parent.is_dir() or (target.exists() and not target.is_file()):
            target.write_bytes(content)  # a mistyped folder is not created
        else:
            replace_file(target, content, mode=_mode(target))
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror or error}") from error


def _mode(path: Path) -> int:
    """Return the permissions that a file has, or that a new one gets."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def warn(problem: str) -> None:
    """Print a warning on stderr."""
    click.echo(f"Warning: {printable(problem)}", err=True)
