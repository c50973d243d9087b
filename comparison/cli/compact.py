"""`bentoml migration compact`: pair files to Parquet."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from comparison.cli.options import files_argument
from comparison.cli.parameter_types import FolderPlace
from comparison.cli.refusals import refusals
from flags.gate.number_format import plural

if TYPE_CHECKING:
    from comparison.pairs.compaction.runs import Compacted


@click.command()
@files_argument
@click.option(
    "--into",
    metavar="DIR",
    required=True,
    type=FolderPlace(),
    help="The folder of Parquet files, or s3://BUCKET/PREFIX: a new one, or one that this command "
    "wrote.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Read with N processes at most. [default: one for each processor, where there is enough "
    "to read]",
)
@click.option(
    "--no-counts",
    is_flag=True,
    help="Keep no counts, which saves half of the time if no gate reads DIR.",
)
def compact(pairs: Path, into: Path, jobs: int | None, no_counts: bool) -> None:
    """Turn the pair files in PAIRS into Parquet files in DIR, by flag and day.

    Each run takes what has been written since the last one. The other commands read DIR as they
    read PAIRS. Both may be in an object store. On this machine, DIR also keeps what was counted,
    so that the gate's next look counts only what is new.

    Example: bentoml migration compact pairs --into compacted
    """
    with refusals():
        from comparison.pairs.compaction.runs import compact as run

        done = run(pairs, into, jobs=jobs)
        click.echo(summary_of(done, into))
        if done.pairs and not no_counts:
            from comparison.judgement.keeping import keep_counts

            kept = keep_counts(into)
            if kept is not None and kept.tables:
                click.echo(f"Kept {plural(kept.tables, 'table')} of counts ({kept.size}).")


def summary_of(done: "Compacted", into: Path) -> str:
    """Return the result of a run in words."""
    files = plural(done.files, "file")
    lines = [
        f"Took {plural(done.pairs, 'pair')} ({done.bytes / 1e6:,.1f} MB of {files}) into {into}."
        if done.bytes
        else f"Nothing new in {files}."
    ]
    notes = (
        (done.repeated, f"{plural(done.repeated, 'pair')} found again, and taken once."),
        (
            done.torn,
            f"{plural(done.torn, 'file')} cut off (first: {done.first_torn}): what is there of its "
            "last line is left for the next run.",
        ),
        (
            done.corrupt,
            f"{done.corrupt:,} corrupt (first: {done.first_corrupt}), left out.",
        ),
        (done.foreign, f"{plural(done.foreign, 'span')} of other programs, left out."),
    )
    return "\n".join([*lines, *(text for count, text in notes if count)])
