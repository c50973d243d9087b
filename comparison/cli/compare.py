"""`bentoml migration compare`: a comparison of both sides by their pairs."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
from rich.console import Console

from comparison.cli.export import export_option, export_to_mlflow
from comparison.cli.options import (
    html_option,
    json_option,
    labels_option,
    outcomes_option,
    pairs_argument,
    preferences_option,
    since_option,
    until_option,
)
from comparison.cli.refusals import Refusal, refusals, write

if TYPE_CHECKING:  # needs the extra `comparison`
    from comparison.judgement.flag_pairs import FlagPairs
    from comparison.labels import LabelFiles
    from comparison.pairs.reader import Pairs
    from comparison.report.comparison import Comparison
    from comparison.summary.figures import Summary

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
    outcomes: str | Path | None,
    preferences: str | Path | None,
    json_file: Path | None,
    html_file: Path | None,
    export: str | None,
) -> None:
    """Compare both sides over the pairs in PAIRS: a folder, a file, or the URL of a table.

    Shows the traffic and health of each side, the differences of alarms and scores on the same
    requests, missing pairs, and a conclusion. The page that --html writes, and the quality that
    --labels adds, are those of the newest rollout.

    Example: bentoml migration compare pairs --html comparison.html
    """
    with refusals():
        from comparison.report.terminal.summary import print_summary
        from comparison.summary.conclusion import conclude, is_uncalibrated
        from comparison.summary.label_objections import with_labels
        from comparison.summary.plain import as_plain

        summary, open_pairs = _figures(pairs, flag, since, until)
        conclusion = conclude(summary)
        wanted = labels or outcomes or preferences or html_file or export
        offered = any(map(is_uncalibrated, summary.outputs)) and find_spec("duckdb")
        # Kinds and the offered threshold are evidence, which needs pairs with a rollout.
        counted = (summary.equal_answers or offered) and any(
            each.rollout is not None for each in summary.traffic.by_rollout
        )
        found = None
        if wanted or counted:
            found = _compared(pairs, open_pairs(), since, until, labels, outcomes, preferences)
            conclusion = with_labels(conclusion, found.evidence) if labels else conclusion
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


def _figures(
    place: str | Path, flag: str | None, since: datetime | None, until: datetime | None
) -> "tuple[Summary, Callable[[], FlagPairs]]":
    """Return the figures, and a function that opens the pairs for further counts.

    Pair files are read into memory, without an engine. An engine counts a compacted folder and a
    table at a URL, whose number of pairs is not limited.
    """
    from comparison.pairs.opening import is_compacted
    from comparison.pairs.reader import read_pairs, within
    from comparison.pairs.stores.folders import folder_at, is_store
    from comparison.summary.in_memory import summarise

    is_folder = is_store(place) or "://" not in str(place)
    if is_folder and not is_compacted(folder_at(place)):
        read = read_pairs(place, flag)
        return summarise(within(read, since, until)), partial(_in_memory, read)
    from comparison.engines.connections import engine_errors
    from comparison.judgement.flag_pairs import FlagPairs
    from comparison.pairs.progress_bar import progress_bar
    from comparison.summary.counted import count_summary

    with engine_errors(place):
        flag_pairs = FlagPairs.at(place, flag)
        with progress_bar("counting pairs"):
            summary = count_summary(flag_pairs.source, flag_pairs.flag, since, until)
    return summary, lambda: flag_pairs


def _in_memory(pairs: "Pairs") -> "FlagPairs":
    """Return pairs in memory for an engine."""
    from comparison.judgement.flag_pairs import FlagPairs

    return FlagPairs.of(pairs)


def _compared(
    place: str | Path,
    flag_pairs: "FlagPairs",
    since: datetime | None,
    until: datetime | None,
    labels: "LabelFiles | None",
    outcomes: str | Path | None,
    preferences: str | Path | None,
) -> "Comparison":
    """Return the comparison with evidence, and with examples of judged texts."""
    from comparison.engines.connections import engine_errors
    from comparison.judgement.additions import Additions
    from comparison.judgement.judge import TimeWindow, take_evidence
    from comparison.judges.examples import examples_at
    from comparison.pairs.progress_bar import progress_bar
    from comparison.report.comparison import Comparison

    additions = Additions.read(labels, None, outcomes, preferences)
    with engine_errors(place), progress_bar("counting pairs"):
        evidence = take_evidence(
            flag_pairs,
            now=datetime.now(UTC),
            window=TimeWindow(since, until or flag_pairs.run().until, drawn_since=since),
            additions=additions,
        )
    return Comparison(evidence, examples=examples_at(place, flag_pairs.flag, additions.preferences))
