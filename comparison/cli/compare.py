"""`bentoml migration compare`: both sides compared over pair files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
from rich.console import Console

from comparison.cli.export import export_option, export_to_mlflow
from comparison.cli.options import (
    Refusal,
    html_option,
    json_option,
    labels_option,
    outcomes_option,
    pairs_argument,
    preferences_option,
    refusals,
    since_option,
    until_option,
    write,
)

if TYPE_CHECKING:  # needs the extra `comparison`
    from comparison.comparison import Comparison
    from comparison.labels import LabelFiles
    from comparison.pairs.reader import Pairs

__all__ = ["Refusal", "compare"]


@click.command()
@pairs_argument
@click.option(
    "--flag", metavar="KEY", help="The flag whose pairs to compare, if there are several."
)
@since_option
@until_option
@labels_option
@outcomes_option
@preferences_option
@json_option
@html_option
@export_option
def compare(
    pairs: str | Path,
    flag: str | None,
    since: datetime | None,
    until: datetime | None,
    labels: "LabelFiles | None",
    outcomes: str | None,
    preferences: Path | None,
    json_file: Path | None,
    html_file: Path | None,
    export: str | None,
) -> None:
    """Compare both sides over the pairs in PAIRS: a folder, a file, or the URL of a table.

    Says who answered, how each side fared, how alarms and scores differ on the same requests,
    whether pairs are missing, and what that means. The page that --html writes, and the quality
    that --labels adds, are those of the newest rollout.

    Example: bentoml migration compare pairs --html comparison.html
    """
    with refusals():
        from comparison.pairs.reader import within
        from comparison.report.terminal.summary import print_summary
        from comparison.summary.conclusion import conclude
        from comparison.summary.figures import as_plain, summarise

        read = _read(pairs, flag)
        summary = summarise(within(read, since, until))
        conclusion = conclude(summary)
        wanted = labels or outcomes or preferences or html_file or export
        # Kinds are counted as the gate does, for which pairs must say at which rollout they are.
        counted = summary.alike and any(
            each.rollout is not None for each in summary.traffic.by_rollout
        )
        found = None
        if wanted or counted:
            found = _compared(read, since, until, labels, outcomes, preferences)
        if found and html_file:
            write(html_file, found.to_html().encode())
    evidence = found.evidence if found else None
    figures: dict[str, Any] = as_plain(summary)
    figures["conclusion"] = {"hold": conclusion.hold, **as_plain(conclusion)}
    if evidence:
        figures["evidence"] = as_plain(evidence)
    content = orjson.dumps(figures, option=orjson.OPT_INDENT_2)
    if found and export:
        files = {"comparison.json": content.decode(), "page.html": found.to_html()}
        export_to_mlflow(found, files)
    if json_file == Path("-"):
        click.echo(content)
        return
    if json_file:
        write(json_file, content + b"\n")
    console = Console(highlight=False)
    print_summary(summary, conclusion, console, evidence, now=datetime.now(UTC))


def _read(place: str | Path, flag: str | None) -> "Pairs":
    """Read a path without Arrow, and the table at a URL by its engine."""
    if isinstance(place, Path):
        from comparison.pairs.reader import read_pairs

        return read_pairs(place, flag)
    from comparison.engines.sources import load_place

    return load_place(place, flag)


def _compared(
    pairs: "Pairs",
    since: datetime | None,
    until: datetime | None,
    labels: "LabelFiles | None",
    outcomes: str | None,
    preferences: Path | None,
) -> "Comparison":
    """Take the evidence on pairs that have been read, with judged texts to show."""
    from comparison.comparison import Comparison
    from comparison.judgement.flag_pairs import FlagPairs
    from comparison.judgement.judge import LabelsAndReferences, TimeWindow, take_evidence
    from comparison.judges.examples import read_examples
    from comparison.pairs.progress_bar import progress_bar

    found = FlagPairs.of(pairs)
    additions = LabelsAndReferences.read(labels, None, outcomes, preferences)
    with progress_bar("counting pairs"):
        evidence = take_evidence(
            found,
            now=datetime.now(UTC),
            window=TimeWindow(since, until or found.run().until, drawn_since=since),
            additions=additions,
        )
    judged, place = additions.preferences, pairs.source
    if judged is None or isinstance(place, str):  # a table of an engine has no texts
        return Comparison(evidence)
    return Comparison(evidence, examples=read_examples(place, found.flag, judged))
