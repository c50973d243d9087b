"""The gate on the table of an engine at a URL: the folder's verdict, and errors that help."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from click.testing import CliRunner

from comparison.cli.compare import compare as compare_command
from comparison.cli.gate import gate
from comparison.engines import connections
from comparison.engines.engine_urls import shown_url
from comparison.engines.places import table_at
from comparison.engines.sources import COLLECTOR_COLUMNS
from comparison.judgement.pairs_judge import PairsJudge
from comparison.pairs.columns import ATTRIBUTE_COLUMNS
from comparison.pairs.compaction.runs import compact
from comparison.pairs.sides import SIDES
from deploy.clickhouse import pairs_sql
from flags.export import attributes
from flags.operate.history import Run
from flags.operate.setting import Setting
from flags.playbook.file import read_playbook
from tests.support.clickhouse import needs_clickhouse
from tests.support.clickhouse_server import (
    GUEST,
    PASSWORD,
    USER,
    ClickHouseServer,
    clickhouse_server,
)
from tests.support.collector_rows import CREATE, fill
from tests.support.gated_pairs import GatedPairs, assert_same_verdict, verdict, write_gated_pairs
from tests.support.pair_files import OUTPUT
from tests.support.paths import ROOT
from tests.support.spark import needs_spark


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> GatedPairs:
    return write_gated_pairs(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def clickhouse(pairs: GatedPairs) -> Iterator[ClickHouseServer]:
    """Hold what a collector wrote, and tables that are none of pairs."""
    with clickhouse_server() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CLICKHOUSE_USER", USER)
        environment.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
        client = server.client()
        fill(client, "otel_traces", pairs.folder)
        client.command("CREATE VIEW narrow AS SELECT TraceId, SpanAttributes FROM otel_traces")
        client.command("CREATE VIEW other AS SELECT 1 AS flag, 'today' AS time")
        client.command(
            "CREATE VIEW failing AS SELECT * REPLACE "
            "(if(throwIf(SpanId != ''), '', SpanId) AS SpanId) FROM otel_traces"
        )
        yield server


def refusal(place: str, pairs: GatedPairs, command: Any = gate) -> str:
    """Return what a command says of a place; it is not a traceback and tells no password."""
    options = ["--playbook", str(pairs.playbook)] if command is gate else []
    found = CliRunner().invoke(command, [place, *options])
    assert found.exit_code == 2, found.output
    assert isinstance(found.exception, SystemExit)
    assert PASSWORD not in found.output
    assert shown_url(place) in found.output
    return " ".join(found.output.split())


# --- ClickHouse -----------------------------------------------------------------------------------


@needs_clickhouse
def test_the_verdict_on_a_collectors_table_is_that_on_the_folder(
    pairs: GatedPairs, clickhouse: ClickHouseServer
) -> None:
    assert_same_verdict(pairs, f"{clickhouse.url}/default?table=otel_traces", pairs.folder)


@needs_clickhouse
def test_a_user_who_may_make_no_table_has_the_same_verdict(
    pairs: GatedPairs, clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_USER", GUEST)
    assert_same_verdict(pairs, f"{clickhouse.url}/default?table=otel_traces", pairs.folder)


@needs_clickhouse
def test_labels_join_in_the_engine_that_holds_the_pairs(
    pairs: GatedPairs, clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    ids = [(f"worker-{w}-request-{n + 1}", n) for w in (1, 2) for n in range(1_500)]
    rows = [f"{request},{int(number % 5 == 0)}" for request, number in ids]
    labels.write_text("\n".join(["request_id,label", *rows, ""]), encoding="utf-8")
    place = f"{clickhouse.url}/default?table=otel_traces"
    assert_same_verdict(pairs, place, pairs.folder, "--labels", str(labels))


def run_all(client: Any, sql: str) -> None:
    """Run the statements of a file, without its comments."""
    kept = "\n".join(line.partition("--")[0] for line in sql.splitlines())
    for statement in filter(str.strip, kept.split(";")):
        client.command(statement)


@needs_clickhouse
def test_narrow_pairs_that_clickhouse_keeps_as_they_come_have_the_folders_verdict(
    pairs: GatedPairs, clickhouse: ClickHouseServer
) -> None:
    client = clickhouse.client()
    sql = pairs_sql.statements(pairs_sql.keys_of_files(str(pairs.folder)), "coming", "kept")
    client.command(CREATE.format(name="coming"))
    run_all(client, sql)
    client.command("INSERT INTO coming SELECT * FROM otel_traces")
    assert_same_verdict(pairs, f"{clickhouse.url}/default?table=kept", pairs.folder)


@needs_clickhouse
def test_narrow_pairs_of_a_table_that_was_filled_before_have_the_folders_verdict(
    pairs: GatedPairs, clickhouse: ClickHouseServer
) -> None:
    client = clickhouse.client()
    keys = pairs_sql.collected_keys(table_at(f"{clickhouse.url}/default?table=otel_traces"))
    sql = pairs_sql.statements(keys, "otel_traces", "filled")
    run_all(client, sql)
    run_all(client, "\n".join(re.findall(r"^-- (INSERT .*)$", sql, flags=re.M)))
    assert_same_verdict(pairs, f"{clickhouse.url}/default?table=filled", pairs.folder)


@needs_clickhouse
def test_the_file_in_deploy_is_that_of_the_reference_service(clickhouse: ClickHouseServer) -> None:
    """Its statements are those that are written for the service's attributes, and they run."""
    file = ROOT / "deploy" / "clickhouse" / "pairs.sql"
    keys = {*ATTRIBUTE_COLUMNS}
    keys |= {
        attributes.side(side, what, OUTPUT)
        for side in SIDES
        for what in (attributes.SCORE, attributes.THRESHOLD, attributes.DECISION)
    }
    keys |= {f"{attributes.SEGMENT}.period", f"{attributes.FEATURE}.tx_amount", attributes.UNIT}
    assert file.read_text(encoding="utf-8") == pairs_sql.statements(keys)
    client = clickhouse.client()
    client.command("CREATE DATABASE reference")
    client.database = "reference"
    client.command(CREATE.format(name="otel_traces"))
    run_all(client, file.read_text(encoding="utf-8"))
    assert client.command("SELECT count() FROM pairs") == 0


@needs_clickhouse
def test_a_user_of_the_url_comes_before_that_of_the_environment(
    pairs: GatedPairs, clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_USER", "somebody")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "else-wrong")
    place = f"clickhouse://{USER}:{PASSWORD}@127.0.0.1:{clickhouse.port}/default?table=missing"
    assert "there is no table missing; there are: " in refusal(place, pairs)


@needs_clickhouse
def test_a_wrong_password_says_where_it_is_taken_from(
    pairs: GatedPairs, clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "not-the-right-one")
    said = refusal(f"{clickhouse.url}/default?table=otel_traces", pairs)
    assert "user and password are those of CLICKHOUSE_USER and CLICKHOUSE_PASSWORD" in said
    assert "not-the-right-one" not in said


@needs_clickhouse
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/default", "no table is named: add ?table=NAME, such as clickhouse://127.0.0.1"),
        ("/nowhere?table=otel_traces", "Database nowhere does not exist"),
        ("/default?table=narrow", "has no column Timestamp, SpanId, SpanName, ServiceName, "),
        ("/default?table=other", "has no column primary_status, candidate_status, but flag, time"),
        ("/default?table=failing", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    pairs: GatedPairs, clickhouse: ClickHouseServer, place: str, said: str
) -> None:
    assert said in refusal(f"{clickhouse.url}{place}", pairs)


@needs_clickhouse
def test_compare_says_what_an_engine_raised_while_it_counted(
    pairs: GatedPairs, clickhouse: ClickHouseServer
) -> None:
    place = f"{clickhouse.url}/default?table=failing"
    assert "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO" in refusal(place, pairs, compare_command)


@needs_clickhouse
def test_an_autopilot_outlives_an_engine_that_fails(
    pairs: GatedPairs, clickhouse: ClickHouseServer
) -> None:
    place = f"{clickhouse.url}/default?table=failing"
    setting = Setting(True, 10, "requestId", ("a strategy",))
    run = Run(setting, pairs.end, None, "ada", by_token=False, how="created", event=1)
    found = PairsJudge(place)(read_playbook(pairs.playbook), run, datetime.now(UTC))
    assert "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO" in str(found.missing)


# --- others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "clickhouse://127.0.0.1:1/db?table=otel_traces",
        f"trino://{USER}:{PASSWORD}@127.0.0.1:1/hive/migration?table=pairs",
    ],
)
def test_a_server_that_is_not_there_is_an_error(place: str, pairs: GatedPairs) -> None:
    pytest.importorskip(place.partition(":")[0].replace("clickhouse", "clickhouse_connect"))
    said = f"Error: {shown_url(place)}: nothing answers at 127.0.0.1:1 (Connection refused)"
    assert refusal(place, pairs) == said


def test_a_host_without_an_address_is_named(pairs: GatedPairs) -> None:
    pytest.importorskip("clickhouse_connect")
    assert "nothing answers at nowhere.invalid:8123 (" in (
        refusal("clickhouse://nowhere.invalid:8123/db?table=pairs", pairs)
    )


def test_what_no_client_is_there_for_names_what_brings_it(pairs: GatedPairs) -> None:
    if find_spec("psycopg"):
        pytest.skip("there is one")
    said = refusal("postgresql://127.0.0.1:1/db?table=pairs", pairs)
    assert said.endswith("(pip install 'ibis-framework[postgres]')")


def test_an_engine_that_is_not_installed_names_its_extra(
    pairs: GatedPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    said = refusal("spark://local?table=pairs", pairs)
    assert "it comes with the extra `spark` of bentoml-flags" in said


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("oracle://host/db?table=pairs", "pip install 'ibis-framework[oracle]'"),
        ("http://host/pairs", "no engine goes by http://; there are clickhouse, trino, spark, duc"),
        ("file:///srv/pairs?table=pairs", "no engine goes by file://"),
        ("clickhouse://host:port/db?table=pairs", "that is no URL: Port could not be cast"),
        ("clickhouse://[::1/db", "that is no URL: Invalid IPv6 URL"),
        ("s3://[::1/pairs", "that is no URL: Invalid IPv6 URL"),
        ("duckdb:///no/such/file.duckdb?table=pairs", "there is no such file"),
        ("spark://local", "add ?table=NAME, such as spark://local?table=otel_traces"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(pairs: GatedPairs, place: str, said: str) -> None:
    for command in (gate, compare_command):
        assert said in refusal(place, pairs, command)


# ibis asks DuckDB for the names of tables by what that has deprecated.
@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("empty", "table=empty holds no pairs: its table is empty"),
        ("spans", "table=spans holds no pairs, but 3 other spans: GET /cart (2), POST /pay (1)"),
        ("traces", "table=traces holds no pairs: its table of spans is empty"),
        ("narrow", "has no column primary_status, candidate_status, but flag, time"),
        ("days", "its times are string, not timestamps"),
        (
            "mixed",
            "its column rollout is string, not float64, its column candidate_status is ",
        ),
        ("none", "there is no table none; there are: days, empty, mixed, narrow"),
    ],
)
def test_what_is_wrong_with_a_table_of_a_file_is_said(
    pairs: GatedPairs, tmp_path: Path, table: str, said: str
) -> None:
    columns = "flag VARCHAR, primary_status VARCHAR, candidate_status VARCHAR"
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(f"CREATE TABLE empty (time TIMESTAMP, {columns})")
        connection.execute(f"CREATE TABLE days (time VARCHAR, {columns})")
        connection.execute(f"CREATE TABLE mixed (time TIMESTAMP, rollout VARCHAR, {columns})")
        connection.execute("ALTER TABLE mixed ALTER candidate_status TYPE INTEGER")
        connection.execute("CREATE TABLE narrow (flag VARCHAR, time TIMESTAMP)")
        texts = ", ".join(
            f"{name} VARCHAR" for name in COLLECTOR_COLUMNS if name.endswith(("Name", "Id"))
        )
        for name in ("spans", "traces"):
            connection.execute(
                f"CREATE TABLE {name} (Timestamp TIMESTAMP, {texts}, "
                "SpanAttributes MAP(VARCHAR, VARCHAR))"
            )
        for span in ("GET /cart", "GET /cart", "POST /pay"):
            connection.execute(
                "INSERT INTO spans (Timestamp, SpanName, ScopeName, SpanAttributes) "
                "VALUES (now(), ?, 'shop', MAP {'a': 'b'})",
                [span],
            )
    for command in (gate, compare_command):
        place = f"duckdb://{tmp_path}/shop.duckdb?table={table}"
        assert said in refusal(place, pairs, command)


def by_program(*arguments: object) -> "subprocess.CompletedProcess[bytes]":
    """Run a command in a process of its own, as Spark is to begin and end with it."""
    command = [sys.executable, "-m", "bentoml", "migration", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=1_800, check=False)


@needs_spark
def test_a_master_of_spark_that_does_not_answer_is_named(pairs: GatedPairs, tmp_path: Path) -> None:
    compact(pairs.folder, tmp_path / "compacted")
    place = f"spark://127.0.0.1:1?folder={tmp_path}/compacted"
    assert refusal(place, pairs) == (
        f"Error: {place}: no master of Spark answers at 127.0.0.1:1 (Connection refused)"
    )


def test_a_folder_that_was_not_compacted_is_refused_before_spark_starts(pairs: GatedPairs) -> None:
    found = CliRunner().invoke(compare_command, [f"spark://127.0.0.1:1?folder={pairs.folder}"])
    assert found.exit_code == 2
    assert f"{pairs.folder}/compaction.json: there is no such file; expected" in found.output


def test_what_java_raised_is_told_in_place_of_the_call_of_its_client() -> None:
    error = RuntimeError("An error occurred while calling o7.load.\n: java.io.Problem: no disk\n")
    assert (
        connections.error_text("spark://local", error) == "RuntimeError: java.io.Problem: no disk"
    )


@needs_spark
@pytest.mark.slow
def test_the_verdict_of_spark_on_a_compacted_folder_is_that_on_the_folder(
    pairs: GatedPairs, tmp_path: Path
) -> None:
    folder = tmp_path / "compacted"
    compact(pairs.folder, folder)
    place = f"spark://local?folder={folder}"
    options = ["--playbook", pairs.playbook, "--until", pairs.end.isoformat(), "--json", "-"]
    found = by_program("gate", place, *options)
    assert found.returncode == 0, found.stderr.decode()
    there, here = found.stdout.strip(), verdict(pairs, folder).strip()
    assert there.replace(orjson.dumps(place), b"0") == here.replace(orjson.dumps(str(folder)), b"0")


@needs_spark
@pytest.mark.slow
def test_what_is_wrong_with_a_place_of_spark_is_said(pairs: GatedPairs, tmp_path: Path) -> None:
    found = by_program("gate", "spark://local?table=nothing", "--playbook", pairs.playbook)
    assert found.returncode == 2
    assert b"there is no table nothing; there are: none" in found.stderr
    found = by_program("compare", f"spark://local?folder={tmp_path}/not")
    assert found.returncode == 2
    assert b"compaction.json" in found.stderr
    assert b"Traceback" not in found.stderr
