"""`compare` on every place that keeps pairs: the figures of the folder that they came from."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import orjson
import pytest
from click.testing import CliRunner

from comparison.cli.compare import compare
from comparison.counts import quantiles
from comparison.pairs.compaction.runs import compact
from tests.support.clickhouse import needs_clickhouse
from tests.support.clickhouse_server import PASSWORD, USER, clickhouse_server
from tests.support.collector_rows import fill
from tests.support.gated_pairs import write_gated_pairs
from tests.support.pair_files import PairFile, Scored, failed
from tests.support.same_figures import assert_same_document

Place = Callable[[Path, Path], str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold pairs of two rollouts, failures, pairs without an answer of both, and one twice."""
    root = tmp_path_factory.mktemp("places")
    pairs = write_gated_pairs(root)
    file = PairFile(pairs.folder, "worker-3")
    file.start()
    for number in range(40):
        file.pair(Scored(0.9), failed(("timeout", "error", "shed")[number % 3], "ValueError"))
        file.pair(Scored(0.2, 0.4), Scored(0.8, 0.7), segments={"channel": "phone"})
    file.stop()
    [first] = pairs.folder.glob("worker-1*.jsonl")
    lines = first.read_text(encoding="utf-8").splitlines(keepends=True)
    (pairs.folder / "again.jsonl").write_text("".join(lines[1:30]), encoding="utf-8")
    return pairs.folder


@pytest.fixture(scope="module")
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CLICKHOUSE_USER", USER)
        environment.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
        yield stack


def compacted(folder: Path, into: Path) -> str:
    compact(folder, into / "compacted")
    return str(into / "compacted")


def table_of_a_file(folder: Path, into: Path) -> str:
    files = f"{compacted(folder, into)}/pairs/**/*.parquet"
    with duckdb.connect(str(into / "warehouse.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE pairs AS SELECT * FROM "  # noqa: S608 - our own path
            f"read_parquet('{files}', hive_partitioning = true, union_by_name = true)"
        )
    return f"duckdb://{into}/warehouse.duckdb?table=pairs"


def figures(place: str | Path, *options: str) -> dict[str, object]:
    found = CliRunner().invoke(compare, [str(place), "--json", "-", *options])
    assert found.exit_code == 0, found.output
    document: dict[str, object] = orjson.loads(found.stdout)
    return {name: each for name, each in document.items() if name not in ("source", "accounting")}


@pytest.mark.parametrize("few", [quantiles.MAX_UNROUNDED, 10], ids=["few", "many"])
@pytest.mark.parametrize("place", [compacted, table_of_a_file], ids=lambda place: place.__name__)
def test_what_was_compacted_has_the_figures_of_the_folder(
    folder: Path, tmp_path: Path, place: Place, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantiles, "MAX_UNROUNDED", few)
    assert_same_document(figures(place(folder, tmp_path)), figures(folder))


@needs_clickhouse
def test_a_collectors_table_has_the_figures_of_the_folder(folder: Path, servers: ExitStack) -> None:
    server = servers.enter_context(clickhouse_server())
    fill(server.client(), "otel_traces", folder)
    place = f"{server.url}/default?table=otel_traces"
    assert_same_document(figures(place), figures(folder))


def test_a_window_has_the_figures_of_the_folder(folder: Path, tmp_path: Path) -> None:
    window = ("--since", "2025-11-23T06:40:02", "--until", "2025-11-23T06:40:05")
    place = compacted(folder, tmp_path)
    assert_same_document(figures(place, *window), figures(folder, *window))
    late = ("--since", "2025-11-24")
    said = [CliRunner().invoke(compare, [str(each), *late]).output for each in (folder, place)]
    assert "holds no pairs in the window, only from 2025-11-23 06:40:00 to" in said[1]
    assert said[1] == said[0].replace(str(folder), place)
