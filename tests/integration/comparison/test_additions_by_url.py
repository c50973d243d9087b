"""Labels, outcomes and preferences from object stores and engines: those of the files at hand."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from comparison.cli.gate import gate
from comparison.errors import (
    LabelsUnreadableError,
    OutcomesUnreadableError,
    PreferencesUnreadableError,
    StoreUnreadableError,
)
from comparison.judges.preferences import load_preferences
from comparison.labels import load_labels
from comparison.outcomes import load_outcomes
from comparison.pairs.stores.folders import folder_at
from tests.support.clickhouse import needs_clickhouse
from tests.support.clickhouse_server import PASSWORD, USER, clickhouse_server
from tests.support.gated_pairs import verdict, write_gated_pairs
from tests.support.object_store import BUCKET, SECRET, ObjectStore, object_store

LABELS = "request_id,label,labelled_at\n007,1,2026-03-02T10:00:00Z\n008,0,\n009,,\n"
OUTCOMES = "request_id,metric,value,occurred_at\n007,chargeback,1,2026-03-02\n008,chargeback,0,\n"
PREFERENCES = "request_id,preference\n007,candidate\n008,0.25\n"
BAD_LABELS = "request_id,label,labelled_at\n007,1,\n008,1,soon\n"

LOADERS = [(load_labels, LABELS), (load_outcomes, OUTCOMES), (load_preferences, PREFERENCES)]


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as running:
        yield running


@pytest.fixture
def place(store: ObjectStore, request: pytest.FixtureRequest) -> str:
    """Return the URL of a folder for one test."""
    return f"s3://{BUCKET}/{abs(hash(request.node.name))}"


def plain(rows: str) -> tuple[str, bytes]:
    return "rows.csv", rows.encode()


def gzipped(rows: str) -> tuple[str, bytes]:
    return "rows.csv.gz", gzip.compress(rows.encode())


def parquet(rows: str) -> tuple[str, bytes]:
    options = arrow_csv.ConvertOptions(column_types={"request_id": pa.string()})
    table = arrow_csv.read_csv(pa.py_buffer(rows.encode()), convert_options=options)
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    return "rows.parquet", buffer.getvalue().to_pybytes()


@pytest.mark.parametrize("form", [plain, gzipped, parquet], ids=lambda form: form.__name__)
@pytest.mark.parametrize(("load", "rows"), LOADERS, ids=["labels", "outcomes", "preferences"])
def test_what_is_in_a_store_is_read_as_from_a_folder(
    load: Callable[..., object],
    rows: str,
    form: Callable[[str], tuple[str, bytes]],
    tmp_path: Path,
    place: str,
) -> None:
    name, content = form(rows)
    (tmp_path / name).write_bytes(content)
    (folder_at(place) / name).write_bytes(content)
    here = load(tmp_path / name)
    for there in (load(f"{place}/{name}"), load(place)):
        pd.testing.assert_frame_equal(there.frame, here.frame)  # type: ignore[attr-defined]


def test_labels_by_zstandard_are_read_from_a_store(place: str) -> None:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as file:
        file.write(LABELS.encode())
    (folder_at(place) / "labels.csv.zst").write_bytes(packed.getvalue().to_pybytes())
    assert load_labels(place).frame["request_id"].tolist() == ["007", "008"]


def test_what_is_wrong_in_a_store_names_place_line_and_column(place: str) -> None:
    (folder_at(place) / "labels.csv").write_bytes(BAD_LABELS.encode())
    with pytest.raises(
        LabelsUnreadableError, match=r"labels.csv, line 3, column labelled_at: 'soon'"
    ):
        load_labels(place)
    (folder_at(place) / "outcomes.csv").write_bytes(b"request_id,metric,value\n007,fee,-1\n")
    with pytest.raises(OutcomesUnreadableError, match=r"s3://.*outcomes.csv, line 2, column value"):
        load_outcomes(f"{place}/outcomes.csv")


@pytest.mark.parametrize(
    ("load", "error"),
    [
        (load_labels, LabelsUnreadableError),
        (load_outcomes, OutcomesUnreadableError),
        (load_preferences, PreferencesUnreadableError),
    ],
)
def test_what_is_not_in_a_store_is_an_error_that_names_it(
    load: Callable[[str], object], error: type[Exception], place: str
) -> None:
    with pytest.raises(error, match=f"{place}/nothing.csv: No such file"):
        load(f"{place}/nothing.csv")
    with pytest.raises(StoreUnreadableError, match="there is no bucket"):
        load("s3://no-such-bucket-at-all/rows")


def test_a_store_that_refuses_says_which_credentials_it_takes(
    place: str, store: ObjectStore
) -> None:
    (folder_at(place) / "labels.csv").write_bytes(LABELS.encode())
    with store.closed_to_all(), pytest.raises(StoreUnreadableError, match="access refused") as said:
        load_labels(f"{place}/labels.csv")
    assert "AWS_ACCESS_KEY_ID" in str(said.value)
    assert SECRET not in str(said.value)


def table_of(rows: str, path: Path, name: str) -> str:
    """Put rows into a table of a DuckDB file; return its URL."""
    table = arrow_csv.read_csv(
        pa.py_buffer(rows.encode()),
        convert_options=arrow_csv.ConvertOptions(column_types={"request_id": pa.string()}),
    )
    with duckdb.connect(str(path)) as connection:
        connection.register("rows", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows")  # noqa: S608 - our own
    return f"duckdb://{path}?table={name}"


@pytest.mark.parametrize(("load", "rows"), LOADERS, ids=["labels", "outcomes", "preferences"])
def test_a_table_is_read_as_its_file(
    load: Callable[..., object], rows: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text(rows)
    here = load(tmp_path / "rows.csv")
    there = load(table_of(rows, tmp_path / "shop.duckdb", "told"))
    pd.testing.assert_frame_equal(there.frame, here.frame)  # type: ignore[attr-defined]


# ibis asks DuckDB for the names of tables by what that has deprecated.
@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_what_is_wrong_with_a_table_of_labels_is_said(tmp_path: Path) -> None:
    place = table_of(BAD_LABELS, tmp_path / "shop.duckdb", "told")
    with pytest.raises(LabelsUnreadableError) as said:
        load_labels(place)
    assert str(said.value).startswith(
        f"{place}, the row of request_id '008', column labelled_at: 'soon'"
    )
    with pytest.raises(LabelsUnreadableError, match="there is no table other; there are: told"):
        load_labels(place.replace("told", "other"))
    with pytest.raises(LabelsUnreadableError, match="no column label; found: request_id, metric"):
        load_labels(table_of(OUTCOMES, tmp_path / "shop.duckdb", "outcomes"))
    with pytest.raises(PreferencesUnreadableError, match="no column preference; found: request_id"):
        load_preferences(place)


@needs_clickhouse
def test_labels_come_from_the_clickhouse_that_holds_the_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLICKHOUSE_USER", USER)
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
    with clickhouse_server() as server:
        client = server.client()
        client.command(
            "CREATE TABLE labels (request_id String, label Nullable(Bool)) "
            "ENGINE = MergeTree ORDER BY request_id"
        )
        client.command("INSERT INTO labels VALUES ('007', true), ('008', false), ('009', NULL)")
        frame = load_labels(f"{server.url}/default?table=labels").frame
    assert dict(zip(frame["request_id"], frame["label"], strict=True)) == {"007": 1, "008": 0}


def test_the_gate_takes_labels_and_outcomes_by_url(tmp_path: Path, place: str) -> None:
    pairs = write_gated_pairs(tmp_path)
    ids = [f"worker-{w}-request-{n + 1}" for w in (1, 2) for n in range(1_500)]
    labels = "".join(
        ["request_id,label\n", *(f"{each},{n % 5 // 4}\n" for n, each in enumerate(ids))]
    )
    outcomes = "".join(
        ["request_id,metric,value\n", *(f"{each},fee,{n % 7 // 6}\n" for n, each in enumerate(ids))]
    )
    given = {}
    for name, rows in (("labels", labels), ("outcomes", outcomes)):
        (tmp_path / f"{name}.csv").write_text(rows)
        (folder_at(place) / f"{name}.csv").write_bytes(rows.encode())
        given[name] = table_of(rows, tmp_path / "shop.duckdb", name)
    here, stored, tables = (
        verdict(pairs, pairs.folder, "--labels", labelled, "--outcomes", happened)
        for labelled, happened in (
            (str(tmp_path / "labels.csv"), str(tmp_path / "outcomes.csv")),
            (f"{place}/labels.csv", f"{place}/outcomes.csv"),
            (given["labels"], given["outcomes"]),
        )
    )
    assert b'"fee"' in here
    assert b'"precision"' in here
    assert stored == here
    assert tables == here


def test_a_place_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    pairs = write_gated_pairs(tmp_path, 60)
    for option in ("--labels", "--outcomes", "--preferences"):
        options = ["--playbook", str(pairs.playbook), option, "oracle://host/db?table=rows"]
        found = CliRunner().invoke(gate, [str(pairs.folder), *options])
        assert found.exit_code == 2, found.output
        assert "oracle" in found.output
        assert isinstance(found.exception, SystemExit)
