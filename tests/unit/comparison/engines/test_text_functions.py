"""Texts are told apart by an engine's numbers, where it has good ones."""

import ibis
import pyarrow as pa
import pytest

from comparison.engines.embedded import connect, register_unnamed
from comparison.engines.text_functions import grouping_key

IDS = [None, "", "a", *(f"{number:032x}" for number in range(100_000)), None]


def test_duckdb_tells_texts_apart_by_numbers_and_missing_ones_stay_missing() -> None:
    rows = register_unnamed(connect(), pa.table({"unit": pa.array(IDS, pa.string())}))
    found = rows.select("unit", number=grouping_key(rows.unit)).to_pyarrow().to_pydict()
    numbers = [number for number in found["number"] if number is not None]
    assert len(set(numbers)) == len(set(IDS)) - 1
    assert [each is None for each in found["number"]] == [each is None for each in found["unit"]]


def test_an_engine_without_hashes_of_64_bits_takes_the_texts() -> None:
    polars = pytest.importorskip("polars")
    rows = ibis.polars.connect({"t": polars.DataFrame({"unit": ["a", None]})}).table("t")
    assert grouping_key(rows.unit).equals(rows.unit)
