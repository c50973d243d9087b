"""Files of outcomes: their rows, and the errors about them."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import ibis
import pandas as pd
import pytest

from comparison.errors import OutcomesUnreadableError
from comparison.outcomes import Outcomes, load_outcomes
from flags.pairing.unit import unit_hash

HEADING = "request_id,metric,value,occurred_at"
TIME = "2026-03-02T12:00:00Z"


def read(folder: Path, *lines: str, name: str = "outcomes.csv") -> Outcomes:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return load_outcomes(path)


def values(found: Outcomes) -> dict[str, float]:
    return dict(zip(found.frame["request_id"], found.frame["value"], strict=True))


def test_a_row_says_whose_outcome_it_is_of_which_metric_and_when(tmp_path: Path) -> None:
    found = read(tmp_path, HEADING, f"r1,complaint,1,{TIME}", f"r2,complaint,0,{TIME}")
    assert found.metrics == ("complaint",)
    assert values(found) == {"r1": 1.0, "r2": 0.0}
    at = pd.Timestamp(found.frame["time"].iloc[0], tz="UTC")
    assert at == datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("word", ["1", "true", "YES", " 1.0 ", "1e0"])
def test_words_for_what_happened(tmp_path: Path, word: str) -> None:
    assert values(read(tmp_path, HEADING, f"r1,complaint,{word},{TIME}")) == {"r1": 1.0}


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("Request-ID,Metric,Value,Occurred At", f"r1,complaint,1,{TIME}"),
        ("\ufeffrequest_id;metric;value;occurred_at;note", f"r1;complaint;1;{TIME};a, b"),
        ("metric\trequest_id\toccurred_at\tvalue", f"complaint\tr1\t{TIME}\t1"),
        ("request_id,metric,occurred_at", f"r1,complaint,{TIME}"),
        ("request_id,metric", "r1,complaint"),
        ("request_id,unit,metric,value,occurred_at", f"r1,,complaint,1,{TIME}"),
    ],
    ids=["other case", "semicolons", "tabs", "no value", "no time", "both ids"],
)
def test_near_misses_mean_the_same(tmp_path: Path, heading: str, row: str) -> None:
    assert values(read(tmp_path, heading, row)) == {"r1": 1.0}


def test_an_empty_value_is_not_known_yet_and_an_exact_repetition_counts_once(
    tmp_path: Path,
) -> None:
    row = f"r1,reviews,2,{TIME}"
    found = read(tmp_path, HEADING, row, row, f"r2,reviews,,{TIME}", "r1,reviews,2,")
    assert found.frame["value"].tolist() == [2.0, 2.0]
    assert found.repeated == 1


def test_of_a_binary_outcome_the_last_one_counts(tmp_path: Path) -> None:
    later = "2026-03-03T12:00:00Z"
    lines = [f"r1,complaint,1,{TIME}", f"r1,complaint,0,{later}", f"r2,complaint,1,{TIME}"]
    rows = read(tmp_path, HEADING, *lines).of("complaint", binary=True)
    assert dict(zip(rows.frame["request_id"], rows.frame["value"], strict=True)) == {
        "r1": 0.0,
        "r2": 1.0,
    }
    assert rows.contradicted == 1


def test_compressed_files_parquet_and_folders_are_read_alike(tmp_path: Path) -> None:
    folder = tmp_path / "outcomes"
    folder.mkdir()
    read(folder, HEADING, f"r1,complaint,1,{TIME}", name="a.csv")
    with gzip.open(folder / "b.csv.gz", "wt") as file:
        file.write(f"{HEADING}\nr2,complaint,1,{TIME}\n")
    pd.DataFrame(
        {
            "request_id": [3],
            "metric": ["complaint"],
            "value": [True],
            "occurred_at": [pd.Timestamp(TIME)],
        }
    ).to_parquet(folder / "c.parquet")
    (folder / "readme.txt").write_text("not read")
    found = load_outcomes(folder)
    assert values(found) == {"r1": 1.0, "r2": 1.0, "3": 1.0}
    assert found.frame["time"].nunique() == 1


def test_times_of_several_zones_are_the_same_moment(tmp_path: Path) -> None:
    times = ("2026-03-02T12:00:00Z", "2026-03-02 13:00:00+01:00", "2026-03-02T12:00:00")
    lines = [f"r{number},a,1,{time}" for number, time in enumerate(times)]
    assert read(tmp_path, HEADING, *lines).frame["time"].nunique() == 1


def test_one_broken_file_of_a_folder_is_named(tmp_path: Path) -> None:
    read(tmp_path, HEADING, f"r1,complaint,1,{TIME}", name="a.csv")
    (tmp_path / "b.csv").write_text(f"{HEADING}\nr2,complaint,1")  # somebody is writing it
    with pytest.raises(
        OutcomesUnreadableError, match=r"b\.csv, line 2: 3 values, 4 in the heading"
    ):
        load_outcomes(tmp_path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([""], "the file is empty; expected CSV"),
        (["id,metric,value", "r1,a,1"], "no column request_id or unit; found: id, metric, value;"),
        (["request_id,label", "r1,1"], "no column metric; found: request_id, label; it looks like"),
        ([HEADING, f"r1,a,1,{TIME}", f"r2,a,-3,{TIME}"], "line 3, column value: '-3': expected a"),
        ([HEADING, f"r1,a,many,{TIME}"], "line 2, column value: 'many': expected a number"),
        ([HEADING, f",a,1,{TIME}"], "line 2, column request_id: neither a request id nor a unit"),
        ([HEADING, f"r1,,1,{TIME}"], "line 2, column metric: no name of a metric"),
        ([HEADING, "r1,a,1,yesterday"], "line 2, column occurred_at: 'yesterday': expected a time"),
        ([HEADING, "r1,a,1,9999-12-31"], "line 2, column occurred_at: '9999-12-31': expected a t"),
        ([HEADING, "r1,a,1,1772452800"], "column occurred_at: '1772452800': expected a time"),
        ([HEADING, "r1,a,1e300,"], "line 2, column value: '1e300': expected a number"),
        (
            [HEADING, "r1,a\x1b[31m,1,"],
            r"line 2, column metric: 'a\x1b[31m': a name has no control",
        ),
        ([HEADING, f"r1,a,1,{TIME}", "r2,a"], "line 3: 2 values, 4 in the heading"),
        (["request_id,metric,Metric", "r1,a,b"], "a column is there twice; found: request_id,"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_column(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    with pytest.raises(OutcomesUnreadableError) as caught:
        read(tmp_path, *lines)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "outcomes.csv"))


def test_a_value_that_no_binary_outcome_has_names_its_line(tmp_path: Path) -> None:
    found = read(tmp_path, HEADING, f"r1,complaint,1,{TIME}", f'"r\n2",complaint,7,{TIME}')
    with pytest.raises(OutcomesUnreadableError, match=r"line 3, column value: 7: complaint is a b"):
        found.of("complaint", binary=True)


def test_a_file_that_is_being_compressed_or_is_not_there_says_so(tmp_path: Path) -> None:
    half = tmp_path / "outcomes.csv.gz"
    half.write_bytes(gzip.compress(f"{HEADING}\n".encode() * 100)[:40])
    with pytest.raises(OutcomesUnreadableError, match="cut off while it was compressed"):
        load_outcomes(half)
    with pytest.raises(OutcomesUnreadableError, match="No such file"):
        load_outcomes(tmp_path / "nothing.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutcomesUnreadableError, match=r"no file in it ends in \.csv"):
        load_outcomes(tmp_path / "empty")


def test_units_are_hashed_as_the_pairs_are_unless_they_are_hashes(tmp_path: Path) -> None:
    key = b"a key of 16 bytes"
    hashed = unit_hash(key, "customer-7")
    path = tmp_path / "outcomes.csv"
    path.write_text(f"unit,metric\ncustomer-7,complaint\n{hashed},complaint\n")
    assert load_outcomes(path, key).frame["unit"].tolist() == [hashed, hashed]
    assert load_outcomes(path).frame["unit"].tolist() == ["customer-7", hashed]


@pytest.mark.parametrize(
    ("given", "kind"),
    [((0, 1, 1), "binary"), ((0, 3, 1), "count"), ((0.5, 3, 1), "continuous")],
)
def test_the_values_of_a_metric_that_nobody_declared_say_its_kind(
    tmp_path: Path, given: tuple[float, ...], kind: str
) -> None:
    lines = [f"r{number},a,{value},{TIME}" for number, value in enumerate(given)]
    assert read(tmp_path, HEADING, *lines).kind_of("a") == kind


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Create a DuckDB database with tables of outcomes."""
    path = tmp_path / "warehouse.duckdb"
    connection = ibis.duckdb.connect(path)
    connection.raw_sql(
        "CREATE TABLE outcomes AS SELECT * FROM (VALUES "
        "('r1', 'complaint', 1, TIMESTAMP '2026-03-02 12:00:00'), "
        "('r1', 'complaint', 1, TIMESTAMP '2026-03-02 12:00:00'), "
        "('r2', 'complaint', 0, TIMESTAMP '2026-03-03 12:00:00')"
        ") AS rows(request_id, metric, value, occurred_at)"
    )
    connection.raw_sql(
        "CREATE SCHEMA shop; CREATE TABLE shop.sums AS SELECT "
        "uuid() AS unit, 'money_lost' AS metric, CAST(130.5 AS DECIMAL(9, 2)) AS value, "
        "TIMESTAMPTZ '2026-03-02 12:00:00+02:00' AS occurred_at"
    )
    connection.raw_sql(
        "CREATE TABLE wrong AS SELECT 'r1' AS request_id, 'a' AS metric, -1 AS value"
    )
    connection.disconnect()
    return path


def test_a_table_of_an_engine_is_read_as_a_file_is(warehouse: Path) -> None:
    found = load_outcomes(f"duckdb://{warehouse}?table=outcomes")
    assert values(found) == {"r1": 1.0, "r2": 0.0}
    assert found.repeated == 1
    at = pd.Timestamp(found.frame["time"].iloc[0], tz="UTC")
    assert at == datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_types_of_an_engine_are_taken_as_they_are_meant(warehouse: Path) -> None:
    found = load_outcomes(f"duckdb://{warehouse}?table=shop.sums").frame
    assert found["value"].tolist() == [130.5]
    assert len(found["unit"].iloc[0]) == 36
    at = pd.Timestamp(found["time"].iloc[0], tz="UTC")
    assert at == datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_python_hands_in_a_table_that_ibis_has_connected_to(warehouse: Path) -> None:
    table = ibis.duckdb.connect(warehouse, read_only=True).table("outcomes")
    assert values(load_outcomes(table)) == {"r1": 1.0, "r2": 0.0}
    assert values(load_outcomes(table.filter(table.value == 1))) == {"r1": 1.0}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            "duckdb://{}?table=wrong",
            "the row of request_id 'r1', metric 'a', column value: '-1': e",
        ),
        ("duckdb://{}?table=none", "?table=none: TableNotFound"),
        ("duckdb://{}", "no table is named: add ?table=NAME"),
        ("duckdb://{}.away?table=outcomes", "there is no such file"),
        ("{}", "a DuckDB database: name its table, such as duckdb://"),
        ("warehouse://host?table=outcomes", "no engine goes by warehouse://"),
        ("mssql://me:s3cr3t@host/shop?table=outcomes", "mssql://host/shop?table=outcomes: what c"),
    ],
)
def test_what_is_wrong_with_a_table_names_its_place_and_no_password(
    warehouse: Path, place: str, said: str
) -> None:
    with pytest.raises(OutcomesUnreadableError) as caught:
        load_outcomes(place.format(warehouse))
    assert said in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert not Path(f"{warehouse}.away").exists()
