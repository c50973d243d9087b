"""Numbers and classes counted by DuckDB, by Polars and by ClickHouse: all are equal, bit by bit."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pytest

from comparison.counts.kinds.category import CategoryCounts
from comparison.counts.kinds.number import NumberCounts
from comparison.counts.kinds.ranking import RankingCounts
from comparison.counts.packed import pack, unpack
from comparison.engines.grouping import MINUTE
from comparison.engines.tables import TablePairs
from comparison.labels import Labels, load_labels
from tests.support.answer_pairs import answer_pairs, label_file, table_of
from tests.support.clickhouse import clickhouse, needs_clickhouse
from tests.support.counting import aggregate
from tests.support.same_counts import assert_same_counts

SIZE = 3_000


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    """Pairs of 300 units with a number and a class each; some classes cannot be read."""
    rng = np.random.default_rng(8)
    truth = rng.normal(100, 20, SIZE)
    names = np.array(["cat", "dog", "fox"])
    species = names[rng.integers(0, 3, (2, SIZE))].astype(object)
    species[1][rng.random(SIZE) < 0.1] = None
    return answer_pairs(
        {
            "primary_score.price": truth + rng.normal(0, 10, SIZE),
            "candidate_score.price": truth + rng.standard_t(2, SIZE) * 5,
            "primary_class.species": species[0],
            "candidate_class.species": species[1],
            "primary_top.species": "|cat|dog|",
            "candidate_top.species": "|fox|",
            "primary_ranking.items": lists_of(rng, 10),
            "candidate_ranking.items": lists_of(rng, 9),
            "primary_groups.items": "|shoes||hats||shoes|",
            "candidate_groups.items": "|bags||hats||hats|",
        },
        rollout=10,
        unit=[f"{unit:016x}" for unit in rng.integers(0, 150, SIZE)],
    )


def lists_of(rng: np.random.Generator, most: int) -> list[str | None]:
    """Return lists of up to so many of twelve ids; one in twenty cannot be read."""
    texts = []
    for _ in range(SIZE):
        ids = rng.permutation(12)[: rng.integers(0, most + 1)]
        texts.append("|" + "".join(f"item-{each}|" for each in ids))
    return [None if rng.random() < 0.05 else text for text in texts]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    """Label nine of ten requests, with a number and a class."""
    rng = np.random.default_rng(9)
    path = label_file(
        tmp_path_factory.mktemp("labels") / "labels.csv",
        [f"{value:.3f}" if value > 75 else "" for value in rng.normal(100, 20, SIZE)],
        "label.price",
    )
    frame = pd.read_csv(path, dtype=str)
    frame["label.species"] = np.array(["cat", "dog", "owl"])[rng.integers(0, 3, SIZE)]
    relevant = rng.permuted(np.tile(np.arange(12), (SIZE, 1)), axis=1)[:, :3]
    grades = rng.integers(0, 4, (SIZE, 3))
    frame["label.items"] = [
        "|".join(
            f"item-{i}" + (f"={g}" if g > 1 else "") for i, g in zip(ids, row, strict=True) if g
        )
        for ids, row in zip(relevant, grades, strict=True)
    ]
    frame.to_csv(path, index=False)
    return load_labels(path)


class EngineLabels(Labels):
    """Labels in a table of the engine that holds the pairs: chdb takes none from elsewhere."""

    def __init__(self, labels: Labels, held: ir.Table) -> None:
        super().__init__(labels.name, labels._source)
        self.held = held

    def table(self) -> ir.Table:
        return self.held.rename(label_request_id="request_id")


def in_polars(pairs: pd.DataFrame, labels: Labels) -> tuple[TablePairs, Labels]:
    polars = pytest.importorskip("polars")
    table = ibis.polars.connect().create_table("pairs", polars.from_pandas(pairs))
    return TablePairs(table), labels


def in_clickhouse(pairs: pd.DataFrame, labels: Labels) -> tuple[TablePairs, Labels]:
    folder, client = Path(tempfile.mkdtemp()), clickhouse()
    for name, frame in (("kinds", pairs), ("kind_labels", labels.frame)):
        frame.to_parquet(folder / f"{name}.parquet")
        file = f"file('{folder}/{name}.parquet', Parquet)"
        client.command(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {file}")  # noqa: S608
    connection = ibis.clickhouse.from_connection(client)
    held = EngineLabels(labels, connection.table("kind_labels"))
    return TablePairs(connection.table("kinds")), held


@pytest.mark.parametrize("engine", [in_polars, pytest.param(in_clickhouse, marks=needs_clickhouse)])
def test_engines_count_kinds_alike(
    engine: Callable[[pd.DataFrame, Labels], tuple[TablePairs, Labels]],
    pairs: pd.DataFrame,
    labels: Labels,
) -> None:
    assert_counted_alike(engine, pairs, labels)


@pytest.mark.parametrize("engine", [in_polars, pytest.param(in_clickhouse, marks=needs_clickhouse)])
def test_engines_see_bursts_without_a_unit_alike(
    engine: Callable[[pd.DataFrame, Labels], tuple[TablePairs, Labels]],
    pairs: pd.DataFrame,
    labels: Labels,
) -> None:
    """Of ten alike requests a minute, those above the median are a half: an effect of five."""
    alike = pairs.iloc[np.arange(SIZE) // 10 * 10].drop(columns="unit")
    own = ["time", "span_id", "request_id", "sequence"]
    bursts = alike.reset_index(drop=True).assign(**{name: pairs[name] for name in own})
    bursts["time"] = pairs["time"][0] + np.arange(SIZE) // 10 * 10 * MINUTE
    expected = assert_counted_alike(engine, bursts, labels)
    assert expected["price"]["clusters"]["bias"] == pytest.approx(5, rel=0.3)
    assert expected["items"]["clusters"]["overlap"] == pytest.approx(5, rel=0.3)


def assert_counted_alike(
    engine: Callable[[pd.DataFrame, Labels], tuple[TablePairs, Labels]],
    pairs: pd.DataFrame,
    labels: Labels,
) -> dict[str, dict[str, Any]]:
    """Return the counts of DuckDB, which those of the engine are equal to."""
    expected = counts_of(aggregate(table_of(pairs), labels=labels))
    assert set(expected) == {"price", "species", "items"}
    source, held = engine(pairs, labels)
    found = counts_of(aggregate(source, labels=held))
    assert found.keys() == expected.keys()
    for name, tables in expected.items():
        for table, held in tables.items():
            if isinstance(held, pd.DataFrame):
                pd.testing.assert_frame_equal(found[name][table], held, check_exact=True)
            else:
                assert found[name][table] == held, (name, table)
    return expected


def test_counts_of_kinds_are_the_same_after_they_were_kept(
    pairs: pd.DataFrame, labels: Labels
) -> None:
    counted = aggregate(table_of(pairs), labels=labels)
    assert_same_counts(unpack(pack(counted)), counted)


def counts_of(aggregates: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in aggregates.answers:
        assert isinstance(each, NumberCounts | CategoryCounts | RankingCounts)
        names = ("spread", "error", "sums", "coverage", "classes", "depth")
        names += ("persistence", "items", "groups", "quality")
        found[each.name] = {name: getattr(each, name) for name in names if hasattr(each, name)}
        found[each.name] |= {"levels": each.levels.table, "clusters": each.levels.clusters}
    return found


def test_the_counts_of_two_halves_add_up(pairs: pd.DataFrame) -> None:
    halves = [table_of(pairs.iloc[: SIZE // 2]), table_of(pairs.iloc[SIZE // 2 :])]
    whole = counts_of(aggregate(table_of(pairs)))["species"]["classes"]
    parts = pd.concat(counts_of(aggregate(half))["species"]["classes"] for half in halves)
    keys = [name for name in whole.columns if name != "n"]
    summed = parts.groupby(keys, dropna=False)["n"].sum().reset_index()
    pd.testing.assert_frame_equal(summed[[*keys, "n"]], whole, check_dtype=False)


def test_the_rankings_of_two_halves_add_up(pairs: pd.DataFrame, labels: Labels) -> None:
    halves = [pairs.iloc[: SIZE // 2], pairs.iloc[SIZE // 2 :]]
    whole, *parts = (
        counts_of(aggregate(table_of(each), labels=labels))["items"] for each in (pairs, *halves)
    )
    for table, keys in (("items", "item"), ("groups", "item"), ("quality", "served")):
        every = pd.concat([part[table] for part in parts])
        summed = every.groupby(keys)[[name for name in every.columns if name != keys]].sum()
        pd.testing.assert_frame_equal(
            summed.reset_index()[whole[table].columns], whole[table], check_dtype=False
        )
    for name, value in whole["sums"].items():
        if name.startswith("chance_"):  # by labels of others of the same window
            continue
        assert sum(part["sums"][name] for part in parts) == pytest.approx(value)
