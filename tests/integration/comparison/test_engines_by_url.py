"""The gate on the table of an engine at a URL: the folder's verdict, and errors that help."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from comparison.cli.compare import compare as compare_command
from comparison.cli.gate import gate
from comparison.engines.connections import shown_url
from comparison.judgement.pairs_judge import PairsJudge
from comparison.pairs.compaction import compact
from flags.operate.history import Run, Setting
from flags.playbook.file import read_playbook
from tests.support.clickhouse import needs_clickhouse
from tests.support.clickhouse_server import PASSWORD, USER, ClickHouseServer, clickhouse_server
from tests.support.collector_rows import fill
from tests.support.gated_pairs import GatedPairs, assert_same_verdict, write_gated_pairs
from tests.support.pair_files import FLAG
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
    """Return what a command says of a place; it is no traceback and tells no password."""
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
def test_labels_join_in_the_engine_that_holds_the_pairs(
    pairs: GatedPairs, clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    ids = [(f"worker-{w}-request-{n + 1}", n) for w in (1, 2) for n in range(1_500)]
    rows = [f"{request},{int(number % 5 == 0)}" for request, number in ids]
    labels.write_text("\n".join(["request_id,label", *rows, ""]), encoding="utf-8")
    place = f"{clickhouse.url}/default?table=otel_traces"
    assert_same_verdict(pairs, place, pairs.folder, "--labels", str(labels))


@needs_clickhouse
def test_a_user_of_the_url_comes_before_that_of_the_environment(
    pairs: GatedPairs, clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_USER", "somebody")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "else-wrong")
    place = f"clickhouse://{USER}:{PASSWORD}@127.0.0.1:{clickhouse.port}/default?table=missing"
    assert "there is no table missing; there are: failing, narrow, otel_traces" in refusal(
        place, pairs
    )


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
    assert "Connection refused" in refusal(place, pairs)


def test_an_engine_that_is_not_installed_names_its_extra(
    pairs: GatedPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    said = refusal("spark://local?table=pairs", pairs)
    assert "it comes with the extra `spark` of bentoml-flags" in said


def test_a_scheme_that_no_engine_has_is_refused(pairs: GatedPairs) -> None:
    assert "oracle" in refusal("oracle://host/db?table=pairs", pairs)


@needs_spark
@pytest.mark.slow
def test_the_verdict_of_spark_on_a_compacted_folder_is_that_on_the_folder(
    pairs: GatedPairs, tmp_path: Path
) -> None:
    compact(pairs.folder, tmp_path / "compacted")
    folder = tmp_path / "compacted"
    assert_same_verdict(pairs, f"spark://local?folder={folder}", folder)
    assert "no table nothing" in refusal("spark://local?table=nothing", pairs)
    assert "no such file or folder" in refusal(f"spark://local?folder={tmp_path}/not", pairs)
    assert FLAG in CliRunner().invoke(compare_command, [f"spark://local?folder={folder}"]).output
