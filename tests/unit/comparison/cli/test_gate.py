"""The command gate, from pair files to the exit code."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from comparison.cli.gate import gate
from comparison.report.verdict_schema import schema
from flags.export import attributes
from flags.monitoring.verdict_place import verdict_path
from tests.support.gated_pairs import PLAYBOOK
from tests.support.pair_files import BEGIN, FLAG, OUTPUT, PairFile, Scored
from tests.support.webhook import Webhook

ALARM, NONE = Scored(0.9, model="fraud:1"), Scored(0.1, model="fraud:1")
LATER, NEVER = Scored(0.9, model="fraud:2"), Scored(0.1, model="fraud:2")
PAIRS = 3_000
END = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(milliseconds=10 * PAIRS + 100)


def write_pairs(folder: Path, *, keener: bool) -> None:
    """Write 500 pairs of a shadow, then 2,500 at 10 %; a keener candidate fires three times."""
    file = PairFile(folder)
    file.start()
    for number in range(PAIRS):
        rollout = 0 if number < 500 else 10
        fires = number % 10 == 0
        candidate = fires or (keener and number % 10 in (1, 2))
        file.pair(
            ALARM if fires else NONE,
            LATER if candidate else NEVER,
            active="candidate" if rollout and number % 10 == 5 else "primary",
            segments={"channel": ("web", "app")[number // 10 % 2]},
            changes={attributes.ROLLOUT: float(rollout)},
        )
    file.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Pairs that agree, pairs that differ, labels and a playbook."""
    folder = tmp_path_factory.mktemp("gate")
    write_pairs(folder / "agreeing", keener=False)
    write_pairs(folder / "keener", keener=True)
    (folder / "playbook.yaml").write_text(PLAYBOOK, encoding="utf-8")
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["request_id", "label"])
        rows.writerows([f"worker-1-request-{n + 1}", int(n % 10 == 0)] for n in range(PAIRS))
    return folder


def run(
    folder: Path, pairs: str = "agreeing", *options: str | Path, until: datetime = END
) -> Result:
    arguments = [folder / pairs, "--playbook", folder / "playbook.yaml", *options]
    if "--until" not in options:
        arguments += ["--until", until.isoformat()]
    return CliRunner().invoke(gate, [str(each) for each in arguments])


def words(text: str) -> str:
    return " ".join(text.split())


# --- thresholds of the playbook -------------------------------------------------------------------


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of a regression: the candidate predicts 500 or more three times as often."""
    folder = tmp_path_factory.mktemp("numbers")
    file = PairFile(folder / "pairs")
    file.start()
    for number in range(2_500):
        high = 600.0 if number % 10 == 0 else 100.0
        higher = 600.0 if number % 10 < 3 else high
        active = "candidate" if number % 10 == 5 else "primary"
        file.pair(Scored(high, threshold=None), Scored(higher, threshold=None), active=active)
    file.stop()
    return folder


def decided(numbers: Path, outputs: str) -> Result:
    (numbers / "playbook.yaml").write_text(PLAYBOOK + outputs, encoding="utf-8")
    return run(numbers, "pairs", "--json", "-")


def test_without_any_threshold_a_regression_is_judged_by_its_distribution(numbers: Path) -> None:
    result = decided(numbers, "")
    assert result.exit_code == 10, result.output
    checks = json.loads(result.stdout)["checks"]
    [above, *below] = [each for each in checks if each["name"] == "distribution_ratio"][::-1]
    assert above["reason"].startswith("outputs above the primary's 90 % quantile: 3.00x the")
    assert above["outcome"] == "fail"
    assert below


def test_numbers_that_are_all_alike_hold_and_say_what_would_show_more(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs")
    for _ in range(10):
        file.pair(Scored(1.0, threshold=None), Scored(1.0, threshold=None))
    checks = json.loads(decided(tmp_path, "").stdout)["checks"]
    [check] = [each for each in checks if each["name"] == "number_bias"]
    assert (check["outcome"], check["required"]) == ("inconclusive", True)
    assert check["reason"].endswith(
        f"true values do, or a threshold (outputs.{OUTPUT}.threshold in the playbook)"
    )


def test_the_playbooks_thresholds_make_alarms_of_a_regression(numbers: Path) -> None:
    thresholds = "{primary: 500, candidate: 500}"
    result = decided(numbers, f"outputs: {{{OUTPUT}: {{threshold: {thresholds}}}}}\n")
    assert result.exit_code == 20, result.output
    document = json.loads(result.stdout)
    [found] = document["evidence"]["outputs"]
    assert found["thresholds"] == {"primary": [500.0], "candidate": [500.0]}
    assert found["alarms"] == {
        "both": 250,
        "primary_only": 0,
        "candidate_only": 500,
        "neither": 1750,
    }
    [check] = [each for each in document["checks"] if each["name"] == "alarm_ratio"]
    assert check["figure"] == 3.0


def test_a_threshold_of_the_playbook_goes_before_the_recorded_one(folder: Path) -> None:
    """The candidate that fires three times as often at 0.5 never does at 0.95."""
    playbook = folder / "stricter.yaml"
    outputs = f"outputs: {{{OUTPUT}: {{threshold: {{candidate: 0.95}}}}}}\n"
    playbook.write_text(PLAYBOOK + outputs, encoding="utf-8")
    arguments = [folder / "keener", "--playbook", playbook, "--until", END.isoformat()]
    result = CliRunner().invoke(gate, [*map(str, arguments), "--json", "-"])
    [found] = json.loads(result.stdout)["evidence"]["outputs"]
    assert found["thresholds"] == {"primary": [0.5], "candidate": [0.95]}
    assert found["alarms"]["candidate_only"] == found["alarms"]["both"] == 0
    assert found["alarms"]["primary_only"] > 0


# --- verdicts -------------------------------------------------------------------------------------


def test_agreeing_sides_advance_with_exit_code_0(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0, result.output
    assert "ADVANCE: go on to ramp, 50 %" in result.stdout
    assert f"{FLAG}: canary, 10 %" in result.stdout


def test_too_many_alarms_roll_back_with_exit_code_20(folder: Path) -> None:
    result = run(folder, "keener")
    assert result.exit_code == 20, result.output
    last = words(result.stdout).partition("ROLLBACK: ")[2]
    assert "alarm rate 3.00x primary's, rollback limit 2.00x" in last


def test_a_shadow_is_never_rolled_back_but_held_with_exit_code_10(folder: Path) -> None:
    result = run(folder, "keener", "--step", "shadow")
    assert result.exit_code == 10, result.output
    assert "HOLD and not ROLLBACK" in words(result.stdout)


def test_a_hold_that_is_not_over_is_a_hold(folder: Path) -> None:
    result = run(folder, until=END - timedelta(seconds=20))
    assert result.exit_code == 10, result.output
    assert "held for 5s of 10s" in words(result.stdout)


def test_pairs_that_have_stopped_are_a_hold(folder: Path) -> None:
    """The window ends now, a long time after the last pair of these files."""
    result = CliRunner().invoke(
        gate, [str(folder / "agreeing"), "--playbook", str(folder / "playbook.yaml")]
    )
    assert result.exit_code == 10, result.output
    assert ", limit 2s" in words(result.stdout)


# --- window and step ------------------------------------------------------------------------------


def evidence_of(result: Result) -> dict[str, object]:
    window: dict[str, object] = json.loads(result.stdout)["evidence"]["window"]
    return window


def test_the_window_begins_with_the_present_rollout(folder: Path) -> None:
    window = evidence_of(run(folder, "agreeing", "--json", "-"))
    assert (window["rollout"], window["pairs"], window["pairs_of_other_rollouts"]) == (10, 2_500, 0)
    assert str(window["since"]).startswith("2025-11-23T06:40:05.01")


def test_an_earlier_step_ends_where_the_next_rollout_begins(folder: Path) -> None:
    result = CliRunner().invoke(
        gate,
        [
            *(str(folder / "agreeing"), "--playbook", str(folder / "playbook.yaml")),
            *("--step", "0", "--json", "-"),
        ],
    )
    window = evidence_of(result)
    assert (window["rollout"], window["pairs"]) == (0, 500)
    assert str(window["until"]).startswith("2025-11-23T06:40:05.000")


def test_a_window_can_be_given(folder: Path) -> None:
    options = ("--since", "2025-11-23T06:40:10", "--until", "2025-11-23T07:40:20+01:00")
    window = evidence_of(run(folder, "agreeing", *options, "--json", "-"))
    assert window["pairs"] == 1_000


@pytest.mark.parametrize("options", [(), ("--since", "2025-11-23T06:40:00")])
def test_the_window_begins_with_the_present_threshold(
    folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = PairFile(tmp_path)
    file.start()
    for number in range(2_000):
        slow = number % 2 and number < 300  # one of two workers follows a second later
        file.pair(
            NONE,
            replace(NEVER, threshold=0.5 if number < 200 or slow else 0.95),
            active="candidate" if number % 10 == 5 else "primary",
            changes={attributes.ROLLOUT: 10.0},
        )
    result = CliRunner().invoke(
        gate,
        [
            *(str(tmp_path), "--playbook", str(folder / "playbook.yaml")),
            *("--until", END.isoformat(), "--json", "-", *options),
        ],
    )
    window = evidence_of(result)
    assert (window["pairs"], str(window["since"])[:22]) == (1_700, "2025-11-23T06:40:03.00")
    checks = {each["name"]: each["outcome"] for each in json.loads(result.stdout)["checks"]}
    assert checks.get("thresholds", "PASS") == "PASS"


def test_both_thresholds_that_change_within_a_given_window_hold(
    folder: Path, tmp_path: Path
) -> None:
    """1.6 times as many alarms before, 0.4 times after: 1.0 in all."""
    file = PairFile(tmp_path)
    file.start()
    for number in range(20_000):
        early = number < 10_000
        threshold = 0.5 if early else 0.6
        alarms = number % 100 < (8 if early else 2)
        file.pair(
            Scored(0.9 if number % 100 < 5 else 0.1, threshold=threshold),
            Scored(0.9 if alarms else 0.1, threshold=threshold),
            active="candidate" if number % 10 == 5 else "primary",
            changes={attributes.ROLLOUT: 10.0},
        )
    result = CliRunner().invoke(
        gate,
        [
            *(str(tmp_path), "--playbook", str(folder / "playbook.yaml"), "--json", "-"),
            *("--since", "2025-11-23T06:40:00"),
            *("--until", (END + timedelta(minutes=5)).isoformat()),
        ],
    )
    assert result.exit_code == 10, result.output
    checks = {each["name"]: each for each in json.loads(result.stdout)["checks"]}
    assert checks["alarm_ratio"]["figure"] == 1.0
    assert "thresholds changed within the window" in checks["thresholds"]["reason"]


def test_a_window_without_pairs_is_a_hold(folder: Path) -> None:
    result = run(folder, "agreeing", "--since", "2026-01-01", "--until", "2026-01-02")
    assert result.exit_code == 10, result.output
    assert "0 pairs of 1,000" in words(result.stdout)


# --- outputs --------------------------------------------------------------------------------------


def test_json_on_stdout_is_all_there_is_and_the_exit_code_stays(folder: Path) -> None:
    result = run(folder, "keener", "--json", "-")
    document = json.loads(result.stdout)
    Draft202012Validator(schema()).validate(document)
    assert document["decision"] == "ROLLBACK"
    assert result.exit_code == 20


def test_labels_page_and_json_are_made_of_the_same_evidence(folder: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "verdict.json"
    options = ("--labels", folder / "labels.csv", "--html", page, "--json", figures)

    result = run(folder, "keener", *options)

    assert result.exit_code == 20, result.output
    [output] = json.loads(figures.read_text())["evidence"]["outputs"]
    assert output["quality"]["labelled"] == 3_000
    assert output["quality"]["positives"] == 300
    assert output["alarms"] == {
        "both": 300,
        "primary_only": 0,
        "candidate_only": 600,
        "neither": 2_100,
    }
    text = page.read_text(encoding="utf-8")
    assert "ROLLBACK" in text
    assert "only candidate: 600" in text
    assert "On 3,000 labelled pairs, 300 of them positive" in text
    assert "Quality: fraud_probability" in result.stdout


def test_the_verdict_is_left_beside_the_pairs_for_the_live_page(
    folder: Path, tmp_path: Path
) -> None:
    figures = tmp_path / "figures.json"
    for pairs in ("keener", "agreeing", "agreeing"):  # what is left is not a pair file
        result = run(folder, pairs, "--json", figures)
        assert f"{FLAG}: canary, 10 %" in result.stdout
        left = verdict_path(folder / pairs, FLAG).read_bytes()
        assert left == figures.read_bytes()


def test_a_folder_that_takes_no_verdict_costs_a_warning(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".verdicts"))
    (tmp_path / "copy" / "agreeing" / ".verdicts").write_text("no folder")
    result = run(tmp_path / "copy")
    assert "Warning: " in result.stderr
    assert f"{FLAG}.json cannot be written" in result.stderr
    assert f"{FLAG}: canary, 10 %" in result.stdout


# --- bad input ------------------------------------------------------------------------------------


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def test_what_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in refused(run(folder, "nowhere"))
    (tmp_path / "pairs").mkdir()
    empty = [str(tmp_path / "pairs"), "--playbook", str(folder / "playbook.yaml")]
    assert "holds no pairs: 0 pair files" in refused(CliRunner().invoke(gate, empty))
    missing = [str(folder / "agreeing"), "--playbook", str(tmp_path / "none.yaml")]
    assert "none.yaml is not there" in refused(CliRunner().invoke(gate, missing))
    assert "none.csv" in refused(run(folder, "agreeing", "--labels", tmp_path / "none.csv"))
    assert "none.json" in refused(run(folder, "agreeing", "--reference", tmp_path / "none.json"))


def test_what_says_something_else_is_named(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(f"flag: {FLAG}\nstep: []\n")
    arguments = [str(folder / "agreeing"), "--playbook", str(wrong)]
    assert f"{wrong}:2: step is unknown" in refused(CliRunner().invoke(gate, arguments))
    playbook = folder / "playbook.yaml"
    assert "request_id" in refused(run(folder, "agreeing", "--labels", playbook))
    assert "feature_reference" in refused(run(folder, "agreeing", "--reference", playbook))
    assert "not an ISO 8601 time" in refused(run(folder, "agreeing", "--since", "yesterday"))


def test_a_step_or_flag_that_is_not_there_is_refused(folder: Path) -> None:
    said = refused(run(folder, "agreeing", "--step", "7"))
    assert "no step 7; its steps are: shadow, 0 %; canary, 10 %" in said
    said = refused(run(folder, "agreeing", "--step", "50"))
    assert "no pairs made at 50 %; there are: 0 %, 10 %" in said
    assert "no pairs of flag other" in refused(run(folder, "agreeing", "--flag", "other"))


def test_a_window_that_ends_before_it_begins_is_refused(folder: Path) -> None:
    said = refused(run(folder, "agreeing", "--since", "2026-01-01"))
    assert "before it begins" in said


def test_pairs_that_name_no_rollout_are_refused(folder: Path, tmp_path: Path) -> None:
    PairFile(tmp_path / "pairs").pair(changes={attributes.ROLLOUT: None})
    arguments = [str(tmp_path / "pairs"), "--playbook", str(folder / "playbook.yaml")]
    assert "none of them says at which" in refused(CliRunner().invoke(gate, arguments))


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_an_output_that_cannot_be_written_is_refused(folder: Path, option: str) -> None:
    said = refused(run(folder, "agreeing", option, folder / "missing" / "out"))
    assert "No such file or directory" in said


def test_without_the_extra_one_line_says_what_to_install(folder: Path) -> None:
    program = (
        "import sys; sys.modules['ibis'] = None\n"
        "from comparison.cli.gate import gate\n"
        "gate([sys.argv[1], '--playbook', sys.argv[2]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, folder / "agreeing", folder / "playbook.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "Error: ibis is not installed: it comes with the extra `comparison` of bentoml-flags "
        "(in a clone: pip install '.[comparison]')\n"
    )


# --- operational alarms ---------------------------------------------------------------------------


def test_a_look_at_an_alarm_is_kept_and_its_failure_holds_and_is_on_the_page(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "pairs").symlink_to(folder / "agreeing")
    (tmp_path / "playbook.yaml").write_text(
        PLAYBOOK + "alarms: {pages: {alertmanager: [severity=page]}}\n"
    )
    looks, page = tmp_path / "looks.jsonl", tmp_path / "page.html"
    options = ("--alertmanager", "http://127.0.0.1:9", "--looks", looks, "--html", page)
    for count in (1, 2):
        result = run(tmp_path, "pairs", *options, until=datetime.now(UTC) + timedelta(hours=1))
        assert result.exit_code == 10
        assert looks.read_text().count('"alarm":"pages"') == count
    assert "operational alarm pages: not known: http://127.0.0.1:9 cannot be asked" in words(
        result.output
    )
    assert "alertmanager: severity=page" in page.read_text()
    earlier = run(tmp_path, "pairs", *options)
    assert "operational alarm pages: not queried in this window" in words(earlier.output)


def test_looks_in_a_row_count_across_runs_of_the_command_and_then_roll_back(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "pairs").symlink_to(folder / "agreeing")
    options = ("--looks", tmp_path / "looks.jsonl")
    with Webhook() as webhook:
        alarm = f"{{webhook: '{webhook.url}', looks: 3, lasting: 0s}}"
        (tmp_path / "playbook.yaml").write_text(f"{PLAYBOOK}alarms: {{freeze: {alarm}}}\n")
        codes = []
        for answer in (b"rollback", b"rollback", b"pass", b"rollback", b"rollback", b"rollback"):
            webhook.body = b'{"decision": "%s"}' % answer
            later = datetime.now(UTC) + timedelta(hours=1)
            result = run(tmp_path, "pairs", *options, until=later)
            codes.append(result.exit_code)
    assert codes == [10, 10, 10, 10, 10, 20]
    assert "freeze: answers rollback, at 3 looks in a row within" in words(result.output)
