import json
from pathlib import Path

import orjson
import pandas as pd
import pytest
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from comparison.errors import FlagNotFoundError, PairsUnreadableError, SeveralFlagsError
from comparison.pairs import files as pair_files
from comparison.pairs.reader import load_pairs, read_pairs
from flags.export import attributes
from tests.support.pair_files import FLAG, OUTPUT, PairFile, Scored, failed, span, traces

DTYPES = {
    "span_id": "string",
    "trace_id": "string",
    "time": "datetime64[ns, UTC]",
    "request_id": "string",
    "flag": "category",
    "api": "category",
    "active": "category",
    "served": "category",
    "fallback": "bool",
    "reason": "category",
    "variant": "category",
    "flag_error": "category",
    "rollout": "float64",
    "worker": "category",
    "sequence": "Int64",
    "primary_status": "category",
    "primary_duration": "float64",
    "primary_model": "category",
    "primary_error": "category",
    "candidate_status": "category",
    "candidate_duration": "float64",
    "candidate_model": "category",
    "candidate_error": "category",
    "primary_score": "float64",
    "candidate_score": "float64",
    "primary_threshold": "float64",
    "candidate_threshold": "float64",
    "primary_decision": "boolean",
    "candidate_decision": "boolean",
}

LINE_OF_THE_CONTRACT = """
{"resourceSpans":[{"resource":{"attributes":[
{"key":"service.name","value":{"stringValue":"FraudDetector"}},
{"key":"process.pid","value":{"intValue":"123"}}]},
"scopeSpans":[{"scope":{"name":"bentoml-flags","version":"0.1.0"},"spans":[
{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
"parentSpanId":"eee19b7ec3c1b173","name":"migration.pair","kind":1,
"startTimeUnixNano":"1763880000000000001","endTimeUnixNano":"1763880000012000000","attributes":[
{"key":"feature_flag.key","value":{"stringValue":"fraud-detector-v2"}},
{"key":"feature_flag.result.variant","value":{"stringValue":"on"}},
{"key":"feature_flag.result.reason","value":{"stringValue":"SPLIT"}},
{"key":"migration.request.id","value":{"stringValue":"r-1"}},
{"key":"migration.api","value":{"stringValue":"predict"}},
{"key":"migration.active","value":{"stringValue":"candidate"}},
{"key":"migration.served","value":{"stringValue":"primary"}},
{"key":"migration.fallback","value":{"boolValue":true}},
{"key":"migration.rollout","value":{"doubleValue":10}},
{"key":"migration.worker.id","value":{"stringValue":"w-1"}},
{"key":"migration.sequence","value":{"intValue":"17"}},
{"key":"migration.primary.status","value":{"stringValue":"ok"}},
{"key":"migration.primary.duration","value":{"doubleValue":0.0012}},
{"key":"migration.primary.model","value":{"stringValue":"fraud:1"}},
{"key":"migration.primary.score.fraud_probability","value":{"doubleValue":0.03}},
{"key":"migration.primary.threshold.fraud_probability","value":{"doubleValue":0.5}},
{"key":"migration.primary.decision.fraud_probability","value":{"boolValue":false}},
{"key":"migration.candidate.status","value":{"stringValue":"error"}},
{"key":"migration.candidate.error","value":{"stringValue":"ValueError"}},
{"key":"migration.segment.channel","value":{"stringValue":"web"}},
{"key":"migration.feature.tx_amount","value":{"doubleValue":12.5}}],"status":{}}]}]}]}
""".replace("\n", "")


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


def test_a_line_as_the_contract_words_it_becomes_one_row(tmp_path: Path) -> None:
    (tmp_path / "w.jsonl").write_text(LINE_OF_THE_CONTRACT + "\n")

    frame = load_pairs(tmp_path)

    [row] = frame.to_dict("records")
    assert {name: value for name, value in row.items() if not pd.isna(value)} == {
        "span_id": "eee19b7ec3c1b174",
        "trace_id": "5b8efff798038103d269b633813fc60c",
        "time": pd.Timestamp(1_763_880_000_000_000_001, tz="UTC"),
        "request_id": "r-1",
        "flag": "fraud-detector-v2",
        "api": "predict",
        "active": "candidate",
        "served": "primary",
        "fallback": True,
        "reason": "SPLIT",
        "variant": "on",
        "rollout": 10.0,
        "worker": "w-1",
        "sequence": 17,
        "primary_status": "ok",
        "primary_duration": 0.0012,
        "primary_model": "fraud:1",
        "candidate_status": "error",
        "candidate_error": "ValueError",
        "primary_score": 0.03,
        "primary_threshold": 0.5,
        "primary_decision": False,
        "segment.channel": "web",
        "feature.tx_amount": 12.5,
    }


def test_the_official_encoder_is_understood(tmp_path: Path) -> None:
    provider, memory = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    values = {
        attributes.FLAG_KEY: FLAG,
        attributes.REQUEST_ID: "r-1",
        attributes.SEQUENCE: 3,
        attributes.FALLBACK: False,
        attributes.side("primary", attributes.STATUS): "ok",
        attributes.side("primary", attributes.SCORE, OUTPUT): 0.25,
        attributes.side("candidate", attributes.STATUS): "ok",
        attributes.side("candidate", attributes.SCORE, OUTPUT): float("nan"),
    }
    with provider.get_tracer(attributes.SCOPE).start_as_current_span(
        attributes.PAIR_SPAN, attributes=values
    ) as span:
        context = span.get_span_context()
    line = json.dumps(encode_spans(memory.get_finished_spans()).to_dict())
    (tmp_path / "w.jsonl").write_text(line + "\n")

    [row] = load_pairs(tmp_path).to_dict("records")

    assert row["span_id"] == f"{context.span_id:016x}"
    assert row["sequence"] == 3
    assert row["primary_score"] == 0.25
    assert pd.isna(row["candidate_score"])


def test_dtypes_do_not_depend_on_the_rows(tmp_path: Path) -> None:
    full, empty = tmp_path / "full", tmp_path / "empty"
    PairFile(full).pair()
    empty.mkdir()

    assert dtypes(load_pairs(full)) == DTYPES
    assert dtypes(load_pairs(empty)) == DTYPES
    assert load_pairs(empty).empty


def test_closed_vocabularies_have_fixed_categories(tmp_path: Path) -> None:
    PairFile(tmp_path).pair(candidate=failed("unheard of"))

    frame = load_pairs(tmp_path)

    assert list(frame["served"].cat.categories) == ["primary", "candidate"]
    assert list(frame["primary_status"].cat.categories) == [
        "ok",
        "error",
        "timeout",
        "shed",
        "skipped",
    ]
    assert frame["candidate_status"].isna().all()


def test_further_outputs_have_their_name_in_the_column(tmp_path: Path) -> None:
    scores = {"fraud": 0.7, "amount": 12.0}
    PairFile(tmp_path).pair(Scored(scores, threshold=None), Scored(scores, threshold=None))

    pairs = read_pairs(tmp_path)

    assert pairs.outputs == ("fraud", "amount")
    [row] = pairs.frame.to_dict("records")
    assert (row["primary_score"], row["primary_score.amount"]) == (0.7, 12.0)
    assert dtypes(pairs.frame)["candidate_decision.amount"] == "boolean"


def test_a_span_without_a_decision_is_decided_by_score_and_threshold(tmp_path: Path) -> None:
    """Another writer may record the two numbers only; a recorded decision counts as it is."""
    file = PairFile(tmp_path)
    file.pair(Scored(0.7, threshold=0.5), Scored(0.2, threshold=0.5))
    file.pair(Scored(0.7, threshold=None), failed("error"))
    (path,) = tmp_path.glob("*.jsonl")
    recorded = read_pairs(tmp_path).frame
    path.write_text(path.read_text().replace(".decision.", ".something."))

    frame = read_pairs(tmp_path).frame

    assert dtypes(frame)["primary_decision"] == "boolean"
    for side, decided in (("primary", [True, None]), ("candidate", [False, None])):
        found = (
            frame[f"{side}_decision"].astype(object).where(frame[f"{side}_decision"].notna(), None)
        )
        assert found.tolist() == decided
        pd.testing.assert_series_equal(frame[f"{side}_decision"], recorded[f"{side}_decision"])


def test_streams_have_columns_of_their_own_if_a_pair_is_one(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    file.pair()
    held = {
        attributes.side(side, what): value
        for side, digest in (("primary", "ab"), ("candidate", None))
        for what, value in (
            (attributes.ITEMS, 3),
            (attributes.LENGTH, 40),
            (attributes.FIRST_ITEM, 0.25),
            (attributes.DIGEST, digest),
        )
    }
    file.pair(changes=held)

    frame = load_pairs(tmp_path)

    assert not any("digest" in name for name in DTYPES)
    assert {name: kind for name, kind in dtypes(frame).items() if name not in DTYPES} == {
        "primary_items": "Int64",
        "candidate_items": "Int64",
        "primary_length": "Int64",
        "candidate_length": "Int64",
        "primary_first_item": "float64",
        "candidate_first_item": "float64",
        "primary_digest": "string",
    }
    assert frame["primary_digest"].to_list() == [pd.NA, "ab"]
    assert frame["candidate_length"].to_list() == [pd.NA, 40]


def test_outputs_are_in_the_order_in_which_they_appeared(tmp_path: Path) -> None:
    """Whether a pattern reads their spans, because there are many, or the JSON parser does."""
    file = PairFile(tmp_path)
    for output, pairs in (("frequent", 100), ("rare", 3)):
        for _ in range(pairs):
            sides = Scored({output: 0.1}), Scored({output: 0.2})
            file.line(orjson.dumps(traces(file.span(*sides))).decode())
    assert read_pairs(tmp_path).outputs == ("frequent", "rare")


def test_rows_are_in_order_of_time_whatever_the_files_are_called(tmp_path: Path) -> None:
    late, early = PairFile(tmp_path, "a"), PairFile(tmp_path / "deeper", "b")
    late.given = 5
    late.pair()
    early.pair()

    frame = load_pairs(tmp_path)

    assert list(frame["worker"]) == ["b", "a"]
    assert list(frame.index) == [0, 1]


def test_blocks_join_seamlessly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PairFile(tmp_path)
    for number in range(20):
        candidate = failed("error", f"Error{number}") if number % 3 else Scored(number / 20)
        segments = {"channel": f"c{number % 4}"} if number % 2 else None
        file.pair(candidate=candidate, segments=segments)
    in_one = load_pairs(tmp_path)

    monkeypatch.setattr(pair_files, "BLOCK_ROWS", 3)
    monkeypatch.setattr(pair_files, "_CHUNK_BYTES", 5_000)

    pd.testing.assert_frame_equal(load_pairs(tmp_path), in_one)
    assert list(in_one["segment.channel"].dropna()) == ["c1", "c3"] * 5
    assert list(in_one["candidate_error"].dropna())[:2] == ["Error1", "Error2"]


def test_numbers_may_be_strings_and_strings_may_not_be_numbers(tmp_path: Path) -> None:
    sequence = {"intValue": 4}
    score = {"stringValue": "not a number"}
    file = PairFile(tmp_path)
    file.pair(changes={attributes.SEQUENCE: sequence, "migration.feature.amount": {}})
    file.pair(changes={attributes.side("primary", attributes.SCORE, OUTPUT): score})
    file.pair(Scored(float("-inf")), Scored(float("nan")))

    frame = load_pairs(tmp_path)

    assert list(frame["sequence"]) == [4, 2, 3]
    assert frame["feature.amount"].isna().all()
    assert frame["primary_score"].isna().tolist() == [False, True, False]
    assert frame["primary_score"][2] == float("-inf")
    assert pd.isna(frame["candidate_score"][2])


def test_a_pair_that_occurs_twice_is_taken_once_and_counted(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    pair = file.span()
    file.write(pair)
    file.write(pair)
    file.pair()

    pairs = read_pairs(tmp_path)

    assert len(pairs.frame) == 2
    assert pairs.accounting.duplicates == 1
    assert pairs.accounting.completeness == 1


def test_a_collectors_export_of_many_resources_is_understood(tmp_path: Path) -> None:
    """Foreign spans are counted, ours are found wherever they are on the line."""
    file = PairFile(tmp_path)
    ours = traces(file.span(), file.span())
    namesake = PairFile(tmp_path, "another-program").span()
    others = traces(span("GET /predict", {}), namesake, scope="other.instrumentation")
    unknown = traces(span("migration.something", {}))
    resources = [part["resourceSpans"][0] for part in (others, ours, unknown)]
    resources.append({"scopeSpans": [{}, {"spans": []}]})
    file.line(json.dumps({"resourceSpans": resources}))
    file.line('{"resourceMetrics": []}')

    pairs = read_pairs(tmp_path)

    assert len(pairs.frame) == 2
    assert pairs.accounting.foreign == 4
    assert pairs.accounting.corrupt == 0


@pytest.mark.parametrize("rest", ['{"resourceSpans":[{"resour', "\0\0\0\0", "{"])
def test_a_last_line_that_was_cut_off_is_counted(tmp_path: Path, rest: str) -> None:
    file = PairFile(tmp_path)
    file.pair()
    file.line(rest, end="")

    pairs = read_pairs(file.path)

    assert len(pairs.frame) == 1
    assert (pairs.accounting.torn, pairs.accounting.corrupt) == (1, 0)


def test_a_file_that_has_only_just_been_begun_is_not_an_error(tmp_path: Path) -> None:
    PairFile(tmp_path).line('{"resourceSp', end="")
    PairFile(tmp_path, "worker-2").line("", end="")

    assert read_pairs(tmp_path).accounting.torn == 1


def test_corrupt_lines_in_the_middle_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    file.pair()
    file.line("")
    file.line('{"resourceSpans": [{"scope')
    file.line("[]")
    file.line('{"resourceSpans": 7}')
    file.pair()

    pairs = read_pairs(tmp_path)

    assert len(pairs.frame) == 2
    assert pairs.accounting.lines == 5
    assert pairs.accounting.corrupt == 3
    assert pairs.accounting.first_corrupt == f"{file.path}, line 3"


@pytest.mark.parametrize(
    "missing",
    [
        attributes.FLAG_KEY,
        attributes.REQUEST_ID,
        attributes.side("primary", attributes.STATUS),
        attributes.side("candidate", attributes.STATUS),
    ],
)
def test_a_pair_without_a_required_attribute_is_corrupt(tmp_path: Path, missing: str) -> None:
    file = PairFile(tmp_path)
    file.write(file.span(), file.span(changes={missing: None}), file.span())

    pairs = read_pairs(tmp_path)

    assert len(pairs.frame) == 2
    assert pairs.accounting.corrupt == 1


@pytest.mark.parametrize("field", ["spanId", "traceId", "startTimeUnixNano", "attributes"])
def test_a_pair_span_without_a_field_of_every_span_is_corrupt(tmp_path: Path, field: str) -> None:
    file = PairFile(tmp_path)
    broken = file.span()
    del broken[field]
    file.write(broken)
    file.pair()

    assert read_pairs(tmp_path).accounting.corrupt == 1


@pytest.mark.parametrize("begin", ["0", "yesterday", str(2**63)])
def test_a_pair_without_a_usable_time_is_corrupt(tmp_path: Path, begin: str) -> None:
    file = PairFile(tmp_path)
    file.write(file.span() | {"startTimeUnixNano": begin})

    assert read_pairs(tmp_path).accounting.corrupt == 1


def test_a_file_without_any_json_is_refused_by_name_and_line(tmp_path: Path) -> None:
    PairFile(tmp_path).pair()
    notes = tmp_path / "zz-notes.jsonl"
    notes.write_text("\nshopping list\n- milk\n")

    with pytest.raises(PairsUnreadableError, match=r"OTLP/JSON") as refusal:
        read_pairs(tmp_path)

    assert (refusal.value.path, refusal.value.line) == (notes, 2)
    assert f"{notes}, line 2" in str(refusal.value)


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PairsUnreadableError, match="no such file or folder"):
        read_pairs(tmp_path / "nowhere")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="reading it fails on Linux only")
def test_a_file_whose_reading_fails_is_named() -> None:
    with pytest.raises(PairsUnreadableError, match=r"^/proc/self/mem: Input/output error"):
        read_pairs("/proc/self/mem")


def test_a_file_that_its_writer_removes_meanwhile_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = PairFile(tmp_path)
    file.pair()
    removed = tmp_path / "removed.jsonl"
    monkeypatch.setattr(pair_files, "find_files", lambda _: [removed, file.path])

    pairs = read_pairs(tmp_path)

    assert len(pairs.frame) == pairs.accounting.files == 1


def test_two_flags_in_one_folder_ask_for_a_choice(tmp_path: Path) -> None:
    PairFile(tmp_path, "worker-1", flag="first").pair()
    PairFile(tmp_path, "worker-2", flag="second").pair()

    with pytest.raises(SeveralFlagsError, match=r"first, second; choose one"):
        read_pairs(tmp_path)


def test_one_flag_of_several_brings_its_own_columns_only(tmp_path: Path) -> None:
    first = PairFile(tmp_path, "worker-1", flag="first")
    first.pair(Scored({"a": 1.0}), segments={"channel": "web"}, features={"amount": 1.0})
    second = PairFile(tmp_path, "worker-2", flag="second")
    second.pair(Scored({"b": 2.0}), Scored({"b": 3.0}), segments={"country": "FI"})
    second.pair(Scored({"b": 2.0}), Scored({"b": 3.0}))

    pairs = read_pairs(tmp_path, flag="second")

    assert pairs.flag == "second"
    assert pairs.outputs == ("b",)
    assert dtypes(pairs.frame) == DTYPES | {"segment.country": "category"}
    assert list(pairs.frame["flag"].cat.categories) == ["second"]
    assert list(pairs.frame["candidate_score"]) == [3.0, 3.0]
    assert pairs.accounting.flags == {"first": 1, "second": 2}


def test_a_flag_without_pairs_is_named_with_those_that_have_some(tmp_path: Path) -> None:
    PairFile(tmp_path, flag="first").pair()

    with pytest.raises(FlagNotFoundError, match=r"no pairs of flag third, only of: first"):
        read_pairs(tmp_path, flag="third")


class TestCompleteness:
    def test_every_number_found_is_complete(self, tmp_path: Path) -> None:
        file = PairFile(tmp_path)
        file.start()
        for _ in range(5):
            file.pair()
        file.stop()

        accounting = read_pairs(tmp_path).accounting

        assert (accounting.found, accounting.expected, accounting.completeness) == (5, 5, 1.0)
        [worker] = accounting.workers
        assert (worker.started, worker.stopped, worker.first, worker.last) == (True, True, 1, 5)

    def test_gaps_at_the_beginning_in_the_middle_and_at_the_end_count(self, tmp_path: Path) -> None:
        file = PairFile(tmp_path)
        file.start()
        for given in (2, 3, 5):
            file.given = given - 1
            file.pair()
        file.stop(pairs=8, dropped=2)

        [worker] = read_pairs(tmp_path).accounting.workers

        assert (worker.found, worker.expected, worker.missing, worker.dropped) == (3, 8, 5, 2)
        assert not worker.begin_removed

    def test_without_a_start_record_counting_begins_at_the_first_pair_found(
        self, tmp_path: Path
    ) -> None:
        """Old files may have been removed: their pairs do not count as lost."""
        file = PairFile(tmp_path)
        file.given = 100
        file.pair()
        file.given += 1
        file.pair()

        [worker] = read_pairs(tmp_path).accounting.workers

        assert (worker.found, worker.expected, worker.missing) == (2, 3, 1)
        assert worker.begin_removed

    def test_without_a_closing_record_the_last_pair_found_is_the_end(self, tmp_path: Path) -> None:
        file = PairFile(tmp_path)
        file.start()
        file.pair()

        [worker] = read_pairs(tmp_path).accounting.workers

        assert (worker.expected, worker.stopped) == (1, False)

    def test_a_worker_that_lost_everything_is_seen_by_its_closing_record(
        self, tmp_path: Path
    ) -> None:
        PairFile(tmp_path, "worker-1").pair()
        lost = PairFile(tmp_path, "worker-2")
        lost.start()
        lost.stop(pairs=9)

        accounting = read_pairs(tmp_path).accounting

        assert accounting.completeness == pytest.approx(1 / 10)
        assert accounting.workers[1].missing == 9

    def test_a_worker_is_counted_over_all_its_files_and_flags(self, tmp_path: Path) -> None:
        file = PairFile(tmp_path)
        file.start()
        file.pair()
        file.path = tmp_path / "rotated.jsonl"
        file.flag = "another"
        file.pair()
        file.stop()

        accounting = read_pairs(tmp_path, flag="another").accounting

        assert accounting.completeness == 1
        assert len(accounting.workers) == 1

    def test_pairs_without_numbers_leave_it_unknown(self, tmp_path: Path) -> None:
        PairFile(tmp_path).pair(changes={attributes.SEQUENCE: None})

        assert read_pairs(tmp_path).accounting.completeness is None

    def test_an_unreadable_total_does_not_stop_the_count(self, tmp_path: Path) -> None:
        file = PairFile(tmp_path)
        file.pair()
        file.stop(pairs=1)
        file.write(
            span(
                attributes.WORKER_SPAN,
                {attributes.WORKER_ID: "worker-1", attributes.WORKER_EVENT: "stop"}
                | {attributes.WORKER_PAIRS: {"stringValue": "many"}},
            )
        )

        assert read_pairs(tmp_path).accounting.expected == 1
