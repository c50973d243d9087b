"""Comparing from Python: one object with figures, charts and the page; places by URL."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import comparison
from comparison.cli.compare import compare as compare_command
from comparison.cli.gate import gate
from comparison.errors import (
    ChartMissingError,
    NotJudgedError,
    PlaceUnreadableError,
    TimeUnreadableError,
)
from comparison.judgement.judgement import Judgement
from comparison.pairs.compaction.runs import compact
from comparison.report.comparison import Comparison
from flags.gate import decide
from flags.gate.evidence import Interval, OutcomeCell, OutcomeMetric, RatioSoFar
from flags.playbook.model import Playbook
from tests.support.kind_files import write_kind_pairs
from tests.support.pair_files import FLAG, OUTPUT, PairFile, Scored
from tests.support.simulated_evidence import HOSTILE, realistic

PAIRS = 300
CHARTS = (
    "alarm_rates",
    "alarm_ratio",
    "ratio_by_hour",
    "scores",
    "scores_together",
    "reliability",
    "latency",
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs as files in `pairs`, compacted, and as a table of `pairs.duckdb`."""
    folder = tmp_path_factory.mktemp("places")
    file = PairFile(folder / "pairs")
    file.start()
    for number in range(PAIRS):
        primary = 0.9 if number % 10 == 0 else 0.1
        candidate = 0.8 if number % 10 == 0 or number % 50 == 1 else 0.2
        segments = {"channel": "app" if number % 2 else "web"}
        file.pair(Scored(primary), Scored(candidate), segments=segments)
    file.stop()
    compact(folder / "pairs", into=folder / "compacted")
    with duckdb.connect(folder / "pairs.duckdb") as connection:
        files = folder / "compacted" / "pairs" / "**" / "*.parquet"
        connection.execute(
            "CREATE TABLE pairs AS SELECT * EXCLUDE (date) FROM "  # noqa: S608 - our own
            f"read_parquet('{files}', hive_partitioning = true, union_by_name = true)"
        )
        connection.execute("CREATE TABLE other AS SELECT 1 AS id")
    (folder / "playbook.yaml").write_text(f"flag: {FLAG}\n")
    return folder


@pytest.fixture(scope="module")
def found(places: Path) -> Comparison:
    return comparison.compare(places / "pairs", places / "playbook.yaml")


def url(places: Path, table: str = "pairs") -> str:
    return f"duckdb://{places / 'pairs.duckdb'}?table={table}"


def test_the_frames_hold_what_was_counted(found: Comparison) -> None:
    whole = found.alarms[found.alarms["segment"].isna()].iloc[0]
    assert (whole["both"], whole["primary_only"], whole["candidate_only"]) == (30, 0, 6)
    assert whole["ratio"] == pytest.approx(36 / 30)
    by_channel = found.alarms.dropna(subset="segment").set_index("value")
    assert by_channel["pairs"].to_dict() == {"app": 150, "web": 150}
    assert set(found.flips["output"]) == {OUTPUT}
    assert (found.flips["is_new"].sum(), len(found.flips)) == (6, 6)
    assert found.flips["label"].isna().all()
    assert found.quality.empty
    assert found.verdict is not None
    assert len(found.checks) == len(found.verdict.checks)
    ratio = found.checks.set_index("name").loc["alarm_ratio"]
    assert ratio["figure"] == pytest.approx(36 / 30)


def test_a_notebook_shows_the_verdict_its_reasons_and_its_checks(found: Comparison) -> None:
    shown = found._repr_html_()
    assert "<h3>HOLD: stay at 10 % and look again</h3>" in shown
    assert "alarm ratio" in shown
    assert repr(found) == f"<Comparison of {FLAG} at 10 %: HOLD>"


def test_without_a_playbook_there_are_figures_and_no_verdict(places: Path) -> None:
    found = comparison.compare(places / "pairs")
    assert found.verdict is None
    assert found.checks.empty
    assert "candidate_only" in found._repr_html_()
    assert "decides nothing" in found.to_html()
    assert list(found.to_dict()) == ["evidence"]
    with pytest.raises(NotJudgedError, match="no playbook was given"):
        _ = found.judged


def test_the_command_prints_the_same_object(found: Comparison, places: Path) -> None:
    command = [str(places / "pairs"), "--playbook", str(places / "playbook.yaml"), "--json", "-"]
    printed = json.loads(CliRunner().invoke(gate, command).stdout)
    here = json.loads(json.dumps(found.to_dict(), default=str))
    for each in (printed, here):
        each["evidence"]["window"].pop("until")
        each["evidence"]["window"].pop("gaps")
        for name in ("checks", "reasons", "next_step", "what_happens_next"):  # ages in them go on
            each.pop(name)
    assert printed == here


@pytest.mark.parametrize("name", CHARTS)
def test_each_chart_is_a_whole_picture_of_its_own(name: str, tmp_path: Path) -> None:
    evidence = realistic()
    playbook = Playbook(flag=evidence.window.flag)
    step = playbook.steps_at(10)[0]
    judged = Comparison(evidence, Judgement(playbook, step, decide(evidence, playbook, step)))
    output = evidence.outputs[0].name
    chart = getattr(judged.plot, name)(*([] if name == "latency" else [output]))
    chart.save(tmp_path / "chart.svg")
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.find("{http://www.w3.org/2000/svg}style") is not None
    assert chart.plot.title in chart.svg
    assert chart._repr_svg_() == chart.svg
    assert "var(--" not in chart.svg.partition("</style>")[2]


def test_a_chart_that_cannot_be_drawn_says_why(found: Comparison) -> None:
    with pytest.raises(ChartMissingError, match=f"nothing to draw for reliability of {OUTPUT}"):
        found.plot.reliability()
    with pytest.raises(ChartMissingError, match=f"no output 'other' .*{OUTPUT}"):
        found.plot.scores("other")


def test_an_outcome_is_drawn_over_time_by_its_name() -> None:
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    over_time = tuple(
        RatioSoFar(begin + timedelta(hours=n), Interval(1.5, 1 - 1 / n, 2 + 1 / n), n)
        for n in range(1, 9)
    )
    cells = (OutcomeCell(False, 0.1, True, 1.0, 1.0, 90),)
    shown = OutcomeMetric("complaint", "request", cells, over_time=over_time)
    found = Comparison(replace(realistic(), outcomes=(shown,)), None)
    chart = found.plot.outcome_ratio()
    assert chart.svg == found.plot.outcome_ratio("complaint").svg
    assert "In the end 1.50 times what happens with the primary" in chart.svg
    with pytest.raises(ChartMissingError, match="one of: complaint"):
        found.plot.outcome_ratio("refund")


def test_hostile_words_stay_words(places: Path, tmp_path: Path) -> None:
    flag = "<script>alert(1)</script>"
    file = PairFile(tmp_path, flag=flag)
    for _ in range(20):
        file.pair(segments={"channel": HOSTILE})
    found = comparison.compare(tmp_path, Playbook(flag=flag))
    assert "<script>" not in found._repr_html_()
    assert "<script>" not in comparison.compare(tmp_path)._repr_html_()
    assert "<script>" not in found.plot.scores().svg


def test_a_table_by_its_url_is_judged_as_the_folder_it_was_made_of(places: Path) -> None:
    """A table lacks only the records of workers, so the check of these holds."""
    plan = places / "playbook.yaml"
    of_folder = comparison.compare(places / "compacted", plan)
    of_table = comparison.compare(url(places), plan)
    assert of_table.evidence.outputs == of_folder.evidence.outputs
    assert of_table.evidence.health == of_folder.evidence.health
    assert of_table.evidence.source == url(places)
    columns = ["name", "output", "segment", "outcome"]
    of_pairs = ~of_folder.checks["name"].isin(["worker_ends", "completeness"])
    assert of_table.checks.loc[of_pairs, columns].equals(of_folder.checks.loc[of_pairs, columns])


def test_the_commands_take_the_url_of_a_table(places: Path) -> None:
    command = [url(places), "--playbook", str(places / "playbook.yaml")]
    judged = CliRunner().invoke(gate, command)
    assert judged.exit_code == 10, judged.output
    assert "alarm ratio" in judged.output
    compared = CliRunner().invoke(compare_command, [url(places)])
    assert compared.exit_code == 0, compared.output
    assert f"{PAIRS} pairs" in compared.output or f"{PAIRS:,}" in compared.output


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("duckdb://{folder}/pairs.duckdb", r"no table is named: add \?table=NAME"),
        ("duckdb://{folder}/pairs.duckdb?table=other", "its table has no column flag, time"),
        ("duckdb://{folder}/pairs.duckdb?table=absent", "absent"),
        ("duckdb://{folder}/nothing.duckdb?table=pairs", "there is no such file"),
        ("gopher://host/db?table=pairs", "gopher"),
    ],
)
def test_a_url_without_pairs_says_what_is_wrong(places: Path, place: str, problem: str) -> None:
    given = place.format(folder=places)
    with pytest.raises(PlaceUnreadableError, match=problem):
        comparison.compare(given)
    refused = CliRunner().invoke(gate, [given, "--playbook", str(places / "playbook.yaml")])
    assert refused.exit_code == 2
    assert refused.output.startswith("Error: ")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Pairs with a score, a number, a class and a ranking, and their labels."""
    folder = tmp_path_factory.mktemp("kinds")
    pairs = write_kind_pairs(folder)
    return comparison.compare(pairs.folder, labels=folder / "labels.csv", until=pairs.end)


def test_answers_of_other_kinds_have_their_figures_in_frames(kinds: Comparison) -> None:
    answers = kinds.answers.set_index("output")
    assert answers["kind"].to_dict() == {
        "price": "number",
        "species": "category",
        "items": "ranking",
        "answer": "text",
    }
    assert answers.loc["species", "agreement"] == pytest.approx(1 / 3, abs=0.1)
    assert answers.loc["items", "depth"] == 8
    assert np.isnan(answers.loc["price", "agreement"])
    quality = kinds.quality.set_index(["output", "side"])
    assert quality.loc[("price", "primary"), "mean_absolute_error"] == pytest.approx(5, abs=1.5)
    assert 0 < quality.loc[("species", "candidate"), "accuracy"] < 1
    assert 0 < quality.loc[("items", "primary"), "ndcg"] < 1
    assert quality.loc[(OUTPUT, "primary"), "average_precision"] > 0
    assert np.isnan(quality.loc[(OUTPUT, "primary"), "ndcg"])
    assert set(quality["labelled"].astype(int)) <= set(range(1, 601))


def test_a_notebook_shows_answers_of_other_kinds_without_a_playbook(kinds: Comparison) -> None:
    shown = kinds._repr_html_()
    for words in (
        "Class: species",
        "Number: price",
        "Ranking: items",
        "macro F1",
        "candidate_only",
    ):
        assert words in shown
    assert "&lt;NA&gt;" not in shown
    assert "nan" not in re.sub("<[^>]*>", " ", shown).lower().split()


def test_charts_of_another_kind_say_where_its_figures_are(kinds: Comparison) -> None:
    assert kinds.plot.errors().svg == kinds.plot.errors("price").svg
    with pytest.raises(ChartMissingError, match=r"this chart is of scores, and .*species is a cat"):
        kinds.plot.scores("species")
    with pytest.raises(ChartMissingError, match=r"this chart is of numbers, and .*items is a rank"):
        kinds.plot.errors("items")


def test_frames_have_the_same_types_with_rows_and_without(
    found: Comparison, kinds: Comparison, places: Path
) -> None:
    empty = comparison.compare(places / "pairs")
    assert empty.checks.empty
    assert found.checks.dtypes.to_dict() == empty.checks.dtypes.to_dict()
    assert found.quality.empty
    types = found.quality.drop(columns="positives").dtypes
    assert kinds.quality[list(types.index)].dtypes.to_dict() == types.to_dict()
    transposed = kinds.quality.set_index(["output", "side"]).T
    assert (transposed.dtypes == "float64").all(), "round and the like do what they should"
    assert found.answers.empty
    assert str(found.answers.dtypes["paired"]) == str(kinds.answers.dtypes["paired"]) == "int64"
    assert found.flips.dtypes.to_dict() == kinds.flips.dtypes.to_dict()


def test_a_column_of_labels_that_is_about_no_output_is_noted_without_a_playbook(
    kinds: Comparison, tmp_path: Path
) -> None:
    file = PairFile(tmp_path)
    for number in range(20):
        scored = Scored({"cat": number / 20, "dog": 1 - number / 20})
        file.pair(scored, scored)
    labels = pd.DataFrame({"request_id": ["worker-1-request-1"], "label": [1]})
    noted = comparison.compare(tmp_path, labels=labels)
    said = "no label is used: the column label does not say which of the outputs cat, dog"
    assert any(each.startswith(said) for each in noted.evidence.notes)
    assert said in noted._repr_html_()
    assert not any("no such output" in each or "no label" in each for each in kinds.evidence.notes)


def test_one_pair_is_drawn_with_each_tick_once(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    file.pair(Scored(0.0024), Scored(0.0025))
    one = comparison.compare(tmp_path)
    ticks = re.findall(r">([\d.]+ %)<", one.plot.scores().svg)
    assert len(ticks) == len(set(ticks)) > 1
    assert " 1 pair<" in one._repr_html_()


def test_times_may_be_texts_and_are_utc_without_an_offset(places: Path) -> None:
    pairs = places / "pairs"
    middle = comparison.load_pairs(pairs)["time"].quantile(0.5).floor("us").to_pydatetime()
    expected = comparison.compare(pairs, since=middle).evidence.window
    assert expected.pairs < PAIRS
    written = middle.replace(tzinfo=None)
    for given in (written, str(written), middle.astimezone(ZoneInfo("Asia/Tokyo")).isoformat()):
        assert comparison.compare(pairs, since=given).evidence.window == expected
    with pytest.raises(TimeUnreadableError, match="'yesterday' is not an ISO 8601 time"):
        comparison.compare(pairs, until="yesterday")
