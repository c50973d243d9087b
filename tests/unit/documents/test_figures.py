"""Figures that the documents give for defaults are those of the playbook and the settings."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import BaseModel

from comparison import load_pairs
from flags.gate.error_rate import SHARES
from flags.gate.evidence import Count, OutcomeCell
from flags.gate.sequences.betting import BETS, LOG_WEIGHTS
from flags.gate.sequences.outcomes import UnitRatioSequence
from flags.gate.sequences.share import ShareSequence
from flags.playbook.model import Playbook
from flags.playbook.outcomes import OutcomePlan
from flags.serving.settings import Settings
from load_tests.generated_pairs import write_pairs
from tests.support.markdown import DOCS, PAGES, name_of, prose, rows, section
from tests.support.paths import ROOT

WORDS = [page for page in PAGES if page.parent.name not in ("adr", "reference", "load_tests")]
KINDS = [DOCS / "how-to" / f"{kind}.md" for kind in ("numbers", "classes", "rankings")]

JUDGES = DOCS / "how-to" / "judges.md"

_IN_BRACKETS = re.compile(r"`(\w+)` \((?:default )?(\d[\d.,]*) ?(%|points|s|h|d)?\)")
_NAMED_AFTER = re.compile(r"\b(\d[\d.,]*) ?(%|points)? [^.()]{0,40}\(`(\w+)`\)")
_SECONDS = {"s": 1, "h": 3_600, "d": 86_400}


def fields(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Yield names and defaults of a model, and of the models in it."""
    for name, field in model.model_fields.items():
        yield name, field.get_default(call_default_factory=True)
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from fields(part)


@pytest.fixture(scope="module")
def defaults() -> dict[str, set[float]]:
    """Defaults by name, a limit of the gate with each of its values; durations in seconds."""
    found = defaultdict(set)
    named = [*fields(Playbook), *((name.upper(), each) for name, each in fields(Settings))]
    for name, default in named:
        value = default.total_seconds() if isinstance(default, timedelta) else default
        if isinstance(value, int | float):
            found[name].add(float(value))
    return found


def value(number: str, unit: str | None) -> float:
    figure = float(number.rstrip(".,").replace(",", ""))
    return figure / 100 if unit in ("%", "points") else figure * _SECONDS.get(unit or "", 1)


@pytest.mark.parametrize("page", WORDS, ids=name_of)
def test_a_default_in_brackets_is_the_default(page: Path, defaults: dict[str, set[float]]) -> None:
    text = " ".join(prose(page).split())
    named = [(name, number, unit) for name, number, unit in _IN_BRACKETS.findall(text)]
    named += [(name, number, unit) for number, unit, name in _NAMED_AFTER.findall(text)]
    for name, number, unit in named:
        if name in defaults:
            wanted = {value(number, unit), value(number, None)}
            assert wanted & {round(each, 9) for each in defaults[name]}, f"{name}: {number} {unit}"


def test_defaults_in_brackets_are_found() -> None:
    text = " ".join(" ".join(prose(page).split()) for page in WORDS)
    assert len(_IN_BRACKETS.findall(text)) > 8
    assert len(_NAMED_AFTER.findall(text)) > 3


@pytest.mark.parametrize("page", KINDS, ids=name_of)
def test_the_limits_in_the_table_of_a_kind_are_the_defaults(
    page: Path, defaults: dict[str, set[float]]
) -> None:
    limits = [
        row for row in rows(page.read_text(encoding="utf-8")) if row[0].strip("`") in defaults
    ]
    assert limits
    for name, *_, last in limits:
        key = name.strip("`")
        known = {each for other in defaults if other.startswith(key) for each in defaults[other]}
        for number in re.findall(r"\d+(?:\.\d+)?", last):
            wanted = {float(number), float(number) / 100}
            assert wanted & {round(each, 9) for each in known}, f"{key}: {number} of {known}"


def test_the_page_of_examples_says_how_many_there_are_and_how_long() -> None:
    page = DOCS / "how-to" / "examples.md"
    services = [
        page.parent / path
        for first, *_ in rows(page.read_text(encoding="utf-8"))
        for path in re.findall(r"\((\S+service\.py)\)", first)
    ]
    words = {10: "Ten", 11: "Eleven", 12: "Twelve", 13: "Thirteen"}
    assert f"{words[len(services)]} services" in prose(page)
    assert "each under 40 lines" in prose(page)
    for service in services:
        assert len(service.read_text(encoding="utf-8").splitlines()) < 40, service


MEASURED = {
    "README.md": {
        "about 1.5 times the compute with two small models": "cpu 1.48x of bare",
        "about 1.1 times if the candidate has a method": "batched embedded cpu 1.13x",
    },
    "docs/how-to/cheap-shadows.md": {
        "takes 0.97 of the time of an eager one, and an answer after a failure takes 17 ms more": (
            "`an answer takes 0.97x of eager's, one in place of a failure +17.0 ms`"
        ),
    },
    "docs/how-to/rollback.md": {
        "followed after 1.11 s (p50), 1.84 s at most": (
            "`rollback p50 1.11 s max 1.84 s (poll 1 s)`"
        ),
    },
    "docs/scale.md": {
        "Compacting takes 99,000 to 122,000 pairs per second": "compaction 122,449/core-s",
        "compressed by Zstandard | 163 |": "`file 163 (2425 before compression), shipped",
        "| to a collector, OTLP protobuf | 1,326 |": "shipped 1326 (133 with gzip)",
        "| Parquet, compacted | 84 |": "Parquet 84, ClickHouse 137`",
        "indices | 137 |": "Parquet 84, ClickHouse 137`",
        "(304), to Unleash | 551 bytes | | back | 114 bytes |": "`551 bytes sent, 114 received,",
        "processor time of Unleash and Postgres | 2.3 ms": "2.30 ms of processor time`",
        "DuckDB 33 processor-seconds and 1 GB": "takes 33.0 processor-seconds",
        "and 1 s once they have been counted": "10.4x scan 955 MB, counted 1.1 s,",
        "of five million units, took 412 and 1.9 GB": "a hundred million 411.7, 500",
        "and 338 on a quiet machine": "hundred million 337.5 and 192.9 s,",
        "in the process of `gate` | 1.2 s |": "`100,000 pairs: duckdb 1.2 s (1.0x),",
        "`gate` | 1.2 s | 3.7 s |": "| DuckDB, Parquet, nothing kept | 3.7 |",
        "keeps its counts | DuckDB | 1.5 s | 4.1 s |": "with counts that are kept | 0.2 | 4.1 |",
        "each later look | DuckDB | 0.1 s | 0.2 s |": "kept 0.1 s (0.1x),",
        "S3 server) | DuckDB | 1.4 s |": "store 1.4 s (1.1x),",
        "DuckDB | 1.4 s | 4.5 s |": "S3 server, nothing kept | 4.5 |",
        "(chdb 4.4) | 2.6 s |": "clickhouse 2.6 s (2.1x),",
        "(chdb 4.4) | 2.6 s | 7.1 s |": "| ClickHouse (chdb), the same columns | 7.1 |",
        "| ClickHouse | 2.2 s |": "narrow 2.2 s (1.8x),",
        "| ClickHouse | 2.2 s | 6.3 s |": "columns of `deploy/clickhouse` | 6.3 |",
        "in a map | ClickHouse | 2.6 s |": "collector 2.6 s (2.1x)`",
        "ClickHouse | 2.6 s | 12.8 s |": "| the collector's table | 12.8 |",
        "| 83 s |": "| Spark 4, Java 17 | | 83.2 |",
        "a million pairs took DuckDB 3.6 s, ClickHouse 4.7 s,": "`duckdb 3.6 s, clickhouse 4.7 s,",
        "43 s (taken from 300,000), and Spark 58 s,": "collector 43 s, spark 58 s`",
        "compacted pairs took it 27 s of a core and 0.7 GB": "ten million 26.8 and 689 MB",
        "584 s of a core for 20 million pairs, 13.1 times one count": (
            "looks at 20M pairs 584 processor-s (new 548, hours 10, others 26;"
        ),
        "pairs took 9,230 s, 714 times one count": "9,229 s, 714 times |",
        "33,300 s before counts were kept": "33,307 s, 1,826 times |",
    },
}
"""What a page says, and the last line of a benchmark in load_tests/README.md that it is from."""


@pytest.mark.parametrize("page", MEASURED)
def test_a_measured_figure_is_that_of_the_last_run(page: str) -> None:
    said = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    measured = " ".join((ROOT / "load_tests" / "README.md").read_text(encoding="utf-8").split())
    for figure, line in MEASURED[page].items():
        assert figure in said
        assert line in measured, f"{page} has another figure: {figure}"


def test_so_many_shadows_show_that_a_batch_agrees() -> None:
    limit, level = 0.02, 0.025
    drawn = next(n for n in range(1_000) if ShareSequence(Count(0, n)).below(limit, level))
    said = " ".join((DOCS / "how-to" / "cheap-shadows.md").read_text(encoding="utf-8").split())
    pairs = round(drawn / Settings.model_fields["shadow_single"].default, -2)
    assert f"(about {round(drawn, -1)} drawn, {pairs:,.0f} pairs;" in said


def test_so_many_judged_pairs_decide() -> None:
    bets, weights = np.array(BETS)[:, None], np.array(LOG_WEIGHTS)[:, None]
    random = np.random.default_rng(0)

    def median(win_rate: float, limit: float, alpha: float) -> float:
        """Return after how many judged pairs it is sure that the rate is above `limit`."""
        wins = random.random((200, 2_500)) < win_rate
        growth = [np.log1p(bets * (won / limit - 1)).cumsum(axis=1) for won in wins]
        wealth = (np.logaddexp.reduce(weights + each) for each in growth)
        return float(np.median([np.argmax(each >= -np.log(alpha)) + 1 for each in wealth]))

    table = {float(rate): cells for rate, *cells in rows(section(JUDGES, "How the gate decides"))}
    assert len(table) == 7
    for rate, (passes, rolls_back) in table.items():
        if passes:
            found = median(rate, 0.45, 0.025)
        else:
            found = median(1 - rate, 1 - 0.40, 0.05 * SHARES["recall_loss"] / 2)
        said = float((passes or rolls_back).replace(",", ""))
        assert found == pytest.approx(said, rel=0.25, abs=5)


def test_so_many_outcomes_decide() -> None:
    alpha = Playbook(flag="a").error_rate / 2

    def arms(ratio: float, share: float, events: int) -> UnitRatioSequence:
        """Return as many events as are expected, all else being equal."""
        candidate = events * ratio * share / (ratio * share + 1 - share)
        counts = {True: round(candidate), False: round(events - candidate)}
        cells = (OutcomeCell(arm, share, None, 0.0, 1.0, units) for arm, units in counts.items())
        return UnitRatioSequence(tuple(cells))

    def needed(decides: Callable[[int], bool]) -> float:
        """Return the least number of events that decides, to two digits."""
        return float(f"{bisect_left(range(1_000_000), True, key=decides):.2g}")

    limit = OutcomePlan().margin
    shares = (0.01, 0.1, 0.5)
    passes = [needed(lambda n, s=s: arms(1, s, n).below(limit, alpha)) for s in shares]
    seen = [needed(lambda n, s=s: arms(2, s, n).above(limit, alpha)) for s in shares]
    said = " ".join(prose(DOCS / "how-to" / "outcomes.md").split())
    assert (
        "about {:,.0f} events, at 10 % after {:,.0f}, at 50 % after {:,.0f}".format(*passes) in said
    )
    assert "after about {:,.0f}, {:,.0f} and {:,.0f} events".format(*seen) in said


def test_a_frame_of_ten_million_pairs_takes_two_gigabytes(tmp_path: Path) -> None:
    write_pairs(tmp_path / "compacted", 20_000)
    frame = load_pairs(tmp_path / "compacted")
    gigabytes = frame.memory_usage(deep=True).sum() / len(frame) * 10_000_000 / 1e9
    said = (DOCS / "how-to" / "many-pairs.md").read_text(encoding="utf-8")
    assert f"about {gigabytes:.0f} GB for ten million" in said
