"""The command gate with outcomes, from pair files and a table to the exit code."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import pytest
from click.testing import CliRunner, Result

from comparison.cli.compare import compare
from comparison.cli.gate import gate
from comparison.outcomes import load_outcomes, unit_key
from flags.export import attributes
from flags.export.pair_files import FileLimits
from flags.export.spans import PairSpans, TrackedOutcome
from flags.pairing.unit import default_key, unit_hash
from tests.support.pair_files import BEGIN, FLAG, PairFile, Scored

HIGH, LOW = (Scored(score, model="fraud:1") for score in (0.9, 0.1))
KEEN, CALM = (Scored(score, model="fraud:2") for score in (0.9, 0.1))
PAIRS = 2_400
END = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(milliseconds=10 * PAIRS + 100)
KEY = "a key of the tests"

STEPS = """
gate: {advance: {failure_rate: 0.005, fallback_rate: 0.02}}
steps:
  - {stage: canary, rollout: 50, hold: 20s, min_pairs: 1000, min_labels: 0}
"""
PLAYBOOK = f"""
flag: {FLAG}
outcomes:
  complaint: {{cut_off: 1s}}
{STEPS}"""


def is_candidates(number: int) -> bool:
    return (number * 7919) % 2_003 < 1_001


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of a flag that is sticky on requests, and of a flag that is sticky on users."""
    folder = tmp_path_factory.mktemp("outcomes")
    for name, stickiness in (("requests", "requestId"), ("users", "userId")):
        file = PairFile(folder / name)
        file.start()
        for number in range(PAIRS):
            file.pair(
                HIGH if number % 5 == 0 else LOW,
                KEEN if number % 5 == 1 else CALM,
                active="candidate" if is_candidates(number) else "primary",
                changes={
                    attributes.ROLLOUT: 50.0,
                    attributes.STICKINESS: stickiness,
                    attributes.UNIT: unit_hash(KEY.encode(), f"user-{number}")
                    if stickiness == "userId"
                    else None,
                },
            )
        file.stop()
    return folder


def outcomes(
    path: Path, happened: Sequence[int], *, by: str = "request_id", after: float = 0.5
) -> Path:
    """Write outcomes of pairs, by their number from 0."""
    lines = [f"{by},metric,value,occurred_at"]
    for number in happened:
        whose = f"user-{number}" if by == "unit" else f"worker-1-request-{number + 1}"
        at = datetime.fromtimestamp(BEGIN / 1e9 + (number + 1) / 100 + after, UTC)
        lines.append(f"{whose},complaint,1,{at.isoformat()}")
    path.write_text("\n".join(lines) + "\n")
    return path


def harmed(number: int) -> bool:
    """Return whether a candidate's flip causes a complaint."""
    return is_candidates(number) and number % 5 == 1


HARM = [number for number in range(PAIRS) if harmed(number) or number % 50 == 0]
NO_HARM = [number for number in range(PAIRS) if number % 3 == 0]


def run(pairs: Path, playbook: str, *options: str | Path, until: datetime = END) -> Result:
    file = pairs.parent / "playbook.yaml"
    file.write_text(playbook)
    arguments = [pairs, "--playbook", file, "--until", until.isoformat(), *options]
    return CliRunner().invoke(gate, [str(each) for each in arguments])


def words(found: Result) -> str:
    return " ".join(found.output.split())


def test_complaints_where_the_candidate_decided_differently_roll_back(
    folder: Path, tmp_path: Path
) -> None:
    found = run(folder / "requests", PLAYBOOK, "--outcomes", outcomes(tmp_path / "o.csv", HARM))
    assert found.exit_code == 20, found.output
    reasons = words(found)
    assert "the primary's over all traffic, by 924 flips, rollback limit 1.25x" in reasons
    assert "complaint: 12x the primary's, of all units, rollback limit 1.25x" in reasons


def test_a_table_of_an_engine_says_the_same_as_a_file(folder: Path, tmp_path: Path) -> None:
    rows = outcomes(tmp_path / "o.csv", HARM)
    warehouse = ibis.duckdb.connect(tmp_path / "warehouse.duckdb")
    warehouse.create_table("outcomes", warehouse.read_csv(rows))
    warehouse.disconnect()
    of_file = run(folder / "requests", PLAYBOOK, "--outcomes", rows)
    place = f"duckdb://{tmp_path / 'warehouse.duckdb'}?table=outcomes"
    of_table = run(folder / "requests", PLAYBOOK, "--outcomes", place)
    assert of_table.exit_code == 20
    assert of_table.output == of_file.output


def test_a_file_without_a_word_in_the_playbook_rolls_back_too(folder: Path, tmp_path: Path) -> None:
    plain = f"flag: {FLAG}{STEPS}"
    rows = outcomes(tmp_path / "o.csv", HARM)
    late = END + timedelta(days=8)
    found = run(folder / "requests", plain, "--outcomes", rows, until=late)
    assert found.exit_code == 20, found.output
    assert "complaint is not in the playbook: taken as harm where it rises" in words(found)


def test_outcomes_that_do_not_depend_on_the_side_let_the_step_go_on(
    folder: Path, tmp_path: Path
) -> None:
    found = run(folder / "requests", PLAYBOOK, "--outcomes", outcomes(tmp_path / "o.csv", NO_HARM))
    assert "complaint: 1.0" in words(found)
    assert "outcomes by flips" in words(found)
    assert "FAIL outcomes" not in words(found)


def test_without_its_table_a_declared_metric_holds(folder: Path) -> None:
    found = run(folder / "requests", PLAYBOOK)
    assert found.exit_code == 10
    assert "complaint: no outcomes are there: hand them in, or track them" in words(found)


def test_an_outcome_by_unit_is_refused_where_the_flag_draws_requests(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIT_KEY", KEY)
    playbook = PLAYBOOK.replace("{cut_off: 1s}", "{by: unit, cut_off: 1s}")
    rows = outcomes(tmp_path / "o.csv", HARM, by="unit")
    found = run(folder / "requests", playbook, "--outcomes", rows)
    assert found.exit_code == 10
    assert "complaint: refused: the flag draws each request for itself" in words(found)


@pytest.mark.parametrize("by", ["unit", "request_id"])
def test_an_outcome_by_unit_rolls_back_where_the_flag_is_sticky_on_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setenv("UNIT_KEY", KEY)
    playbook = PLAYBOOK.replace("{cut_off: 1s}", "{by: unit, cut_off: 1s}")
    rows = outcomes(tmp_path / "o.csv", HARM, by=by)
    assert run(folder / "users", playbook, "--outcomes", rows).exit_code == 20


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "outcomes name their unit by its value, and pairs by a keyed hash: give this comm"),
        ("a key of another service", "outcomes of a unit belongs to a pair: is it the key? give"),
    ],
)
def test_units_without_their_key_hold_and_name_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None, said: str
) -> None:
    """The message names the key, not unknown units, even if other rows name their request."""
    monkeypatch.delenv("UNIT_KEY", raising=False)
    if key:
        monkeypatch.setenv("UNIT_KEY", key)
    playbook = PLAYBOOK.replace("{cut_off: 1s}", "{by: unit, cut_off: 1s}")
    rows = outcomes(tmp_path / "o.csv", HARM, by="unit")
    known = "worker-1-request-1,,complaint,1,2026-01-01"
    lines = [f",{line}" for line in rows.read_text().splitlines()[1:]]
    rows.write_text("\n".join(["request_id,unit,metric,value,occurred_at", known, *lines]))
    found = run(folder / "users", playbook, "--outcomes", rows)
    assert found.exit_code == 10
    assert said in words(found)


def test_a_service_without_a_key_has_one_that_a_command_can_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = outcomes(tmp_path / "o.csv", [7], by="unit")
    monkeypatch.setenv("UNIT_KEY", "bentoml-flags unit of FraudDetector")
    assert load_outcomes(rows, unit_key()).frame["unit"].tolist() == [
        unit_hash(default_key("FraudDetector"), "user-7")
    ]


def test_outcomes_beyond_the_cut_off_and_of_nobody_are_told(folder: Path, tmp_path: Path) -> None:
    path = outcomes(tmp_path / "o.csv", HARM)
    late = outcomes(tmp_path / "late.csv", [3, 4], after=5.0)
    path.write_text(path.read_text() + late.read_text().split("\n", 1)[1] + "stranger,complaint,1,")
    found = words(run(folder / "requests", PLAYBOOK, "--outcomes", path))
    assert "complaint: 2 outcomes left out, before their request or later than" in found
    assert "outcomes belong to no pair" in found


def test_a_continuous_outcome_needs_a_cap_where_the_shadow_has_shown_none(
    folder: Path, tmp_path: Path
) -> None:
    money = PLAYBOOK.replace("{cut_off: 1s}", "{kind: continuous, cut_off: 1s}")
    rows = outcomes(tmp_path / "o.csv", HARM)
    found = run(folder / "requests", money, "--outcomes", rows)
    assert found.exit_code == 10
    assert "the playbook has no cap" in words(found)
    capped = money.replace("kind: continuous", "kind: continuous, cap: 2")
    assert run(folder / "requests", capped, "--outcomes", rows).exit_code == 20


def test_a_wrong_file_is_bad_input(folder: Path, tmp_path: Path) -> None:
    rows = tmp_path / "o.csv"
    rows.write_text("request_id,metric,value\nr1,complaint,often\n")
    found = run(folder / "requests", PLAYBOOK, "--outcomes", rows)
    assert found.exit_code == 2
    assert "line 2, column value: 'often': expected a number" in words(found)


def test_labels_of_every_request_that_depend_on_the_side_roll_back(
    folder: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "labels.csv"
    positive = set(HARM)
    labels = [f"worker-1-request-{n + 1},{int(n in positive)}" for n in range(PAIRS)]
    rows.write_text("request_id,label\n" + "\n".join(labels) + "\n")
    plain = f"flag: {FLAG}\nlabel_cut_off: 0s{STEPS}"
    found = run(folder / "requests", plain, "--labels", rows)
    assert found.exit_code == 20
    assert "labels: positive labels 12x as frequent where the candidate was assigned" in words(
        found
    )


def test_compare_takes_outcomes_without_a_playbook(folder: Path, tmp_path: Path) -> None:
    rows = outcomes(tmp_path / "o.csv", HARM)
    found = CliRunner().invoke(
        compare, [str(folder / "requests"), "--outcomes", str(rows), "--json", "-"]
    )
    assert found.exit_code == 0, found.output
    assert '"outcomes"' in found.output


def test_a_program_that_was_killed_while_it_tracked_is_told(folder: Path, tmp_path: Path) -> None:
    """Its last records are lost; the earlier ones count."""
    pairs = tmp_path / "pairs"
    shutil.copytree(folder / "requests", pairs)
    spans = PairSpans.to_folder(pairs, FileLimits(), service="shop", version=None)
    for number in HARM:
        occurred = BEGIN + (number + 1) * 10_000_000
        of = f"worker-1-request-{number + 1}"
        spans.record_outcome(TrackedOutcome("complaint", 1.0, of, None, occurred))
    spans.close()
    (file,) = pairs.glob("*shop*.jsonl")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))  # without its stop
    found = run(pairs, PLAYBOOK, until=END + timedelta(minutes=10))
    said = "complaint: 1 program that tracked outcomes left no stop record and wrote nothing"
    assert said in words(found)
