"""The gate on outputs of every kind, with labels and outcomes: each place has the same bytes."""

import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from comparison.cli.compact import compact as compact_command
from comparison.engines.engine_urls import shown_url
from comparison.pairs.compaction.runs import compact
from deploy.clickhouse import pairs_sql
from tests.integration.comparison.test_engines_by_url import by_program, run_all
from tests.support.clickhouse import needs_clickhouse
from tests.support.clickhouse_server import PASSWORD, USER, ClickHouseServer, clickhouse_server
from tests.support.collector_rows import CREATE, fill
from tests.support.gated_pairs import GatedPairs, verdict, write_gated_pairs
from tests.support.kind_files import write_kind_pairs
from tests.support.object_store import BUCKET, object_store
from tests.support.pair_places import PairPlace
from tests.support.spark import needs_spark


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> GatedPairs:
    return write_kind_pairs(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def compacted(pairs: GatedPairs) -> Path:
    compact(pairs.folder, pairs.folder.parent / "compacted")
    return pairs.folder.parent / "compacted"


@pytest.fixture(scope="module")
def additions(pairs: GatedPairs) -> tuple[str, ...]:
    folder = pairs.folder.parent
    return "--labels", str(folder / "labels.csv"), "--outcomes", str(folder / "outcomes.csv")


@pytest.fixture(scope="module")
def expected(pairs: GatedPairs, additions: tuple[str, ...]) -> bytes:
    """Return the verdict on the pair files; it is about all that is in them."""
    found = verdict(pairs, pairs.folder, *additions)
    outputs = (b"price", b"species", b"items", b"answer")
    for each in (*outputs, b"chargeback", b"complaint", b"amount", b"recall"):
        assert each in found
    return named(found, str(pairs.folder))


def named(found: bytes, place: str) -> bytes:
    """Return a verdict without the name of its source."""
    quoted = orjson.dumps(place)
    assert quoted in found
    return found.strip().replace(quoted, b'"here"')


def test_a_compacted_folder(
    pairs: GatedPairs, compacted: Path, additions: tuple[str, ...], expected: bytes
) -> None:
    for _ in range(2):  # the second look takes what the first one kept
        assert named(verdict(pairs, compacted, *additions), str(compacted)) == expected


def test_times_between_two_microseconds(tmp_path: Path) -> None:
    """Pair files and a collector keep nanoseconds, DuckDB reads microseconds of Parquet."""
    pairs = write_gated_pairs(tmp_path, 600)
    for file in pairs.folder.glob("*.jsonl"):
        whole = file.read_bytes()
        finer = re.sub(rb'("startTimeUnixNano": ?"\d+)000"', rb'\g<1>300"', whole)
        assert finer != whole
        file.write_bytes(finer)
    compact(pairs.folder, tmp_path / "compacted")
    found = [verdict(pairs, place) for place in (pairs.folder, tmp_path / "compacted")]
    places = (str(pairs.folder), str(tmp_path / "compacted"))
    assert named(found[0], places[0]) == named(found[1], places[1])


def test_another_process(
    pairs: GatedPairs, compacted: Path, additions: tuple[str, ...], expected: bytes
) -> None:
    """In which sets of names have another order."""
    options = ["--playbook", pairs.playbook, "--until", pairs.end.isoformat(), "--json", "-"]
    found = by_program("gate", compacted, *options, *additions)
    assert named(found.stdout, str(compacted)) == expected


@pytest.mark.parametrize("scheme", ["s3", "gs", pytest.param("az", marks=pytest.mark.slow)])
def test_an_object_store(
    pairs: GatedPairs, additions: tuple[str, ...], expected: bytes, scheme: str
) -> None:
    with object_store(scheme):
        place = f"{scheme}://{BUCKET}/kinds"
        done = CliRunner().invoke(compact_command, [str(pairs.folder), "--into", place])
        assert done.exit_code == 0, done.output
        assert named(verdict(pairs, place, *additions), place) == expected


def test_a_collectors_table_in_a_duckdb_file(
    pairs: GatedPairs, tmp_path: Path, additions: tuple[str, ...], expected: bytes
) -> None:
    place = PairPlace("duckdb", tmp_path)
    place.refresh(pairs.folder)
    assert named(verdict(pairs, place.url, *additions), place.url) == expected


@pytest.fixture(scope="module")
def clickhouse(pairs: GatedPairs) -> Iterator[ClickHouseServer]:
    with clickhouse_server() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CLICKHOUSE_USER", USER)
        environment.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
        client = server.client()
        fill(client, "otel_traces", pairs.folder)
        client.command(CREATE.format(name="coming"))
        keys = pairs_sql.keys_of_files(str(pairs.folder))
        run_all(client, pairs_sql.statements(keys, "coming", "narrow"))
        client.command("INSERT INTO coming SELECT * FROM otel_traces")
        yield server


@needs_clickhouse
@pytest.mark.parametrize("table", ["otel_traces", "narrow"])
def test_clickhouse(
    pairs: GatedPairs,
    clickhouse: ClickHouseServer,
    additions: tuple[str, ...],
    expected: bytes,
    table: str,
) -> None:
    place = f"{clickhouse.url}/default?table={table}"
    assert named(verdict(pairs, place, *additions), shown_url(place)) == expected


@needs_spark
@pytest.mark.slow
def test_spark(
    pairs: GatedPairs, compacted: Path, additions: tuple[str, ...], expected: bytes
) -> None:
    place = f"spark://local?folder={compacted}"
    options = ["--playbook", pairs.playbook, "--until", pairs.end.isoformat(), "--json", "-"]
    found = by_program("gate", place, *options, *additions)
    assert found.returncode in (0, 10, 20), found.stderr.decode()
    assert named(found.stdout, place) == expected
