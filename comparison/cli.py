"""Offer the comparison as the command `bentoml migration compare`."""

from pathlib import Path

import click
import orjson
from rich.console import Console

from comparison.conclusion import Conclusion, conclude
from comparison.errors import ComparisonError
from comparison.pairs import read_pairs
from comparison.summary import Summary, as_plain, summarise
from comparison.terminal import print_summary


class Refusal(click.ClickException):
    """Show a domain error as one message on stderr; exit code 2, as for any bad input."""

    exit_code = 2


@click.command()
@click.argument("pairs", type=click.Path(path_type=Path))
@click.option(
    "--flag", metavar="KEY", help="The flag whose pairs to compare, if there are several."
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Also write the figures as JSON; - writes them to stdout, and nothing else.",
)
def compare(pairs: Path, flag: str | None, json_file: Path | None) -> None:
    """Compare both sides over the pair files in the folder (or the one file) PAIRS.

    Says who answered, how each side fared, how alarms and scores differ on the same requests,
    whether pairs are missing, and what that means.
    """
    try:
        summary = summarise(read_pairs(pairs, flag))
        conclusion = conclude(summary)
        if json_file == Path("-"):
            click.echo(_json(summary, conclusion))
            return
        if json_file:
            _write(json_file, _json(summary, conclusion))
    except ComparisonError as error:
        raise Refusal(str(error)) from error
    print_summary(summary, conclusion, Console(highlight=False))


def _json(summary: Summary, conclusion: Conclusion) -> bytes:
    figures = as_plain(summary) | {"conclusion": {"hold": conclusion.hold, **as_plain(conclusion)}}
    return orjson.dumps(figures, option=orjson.OPT_INDENT_2)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content + b"\n")
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror or error}") from error
