import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from comparison.cli.compare import compare
from flags.export import attributes
from flags.export.worker_count import FOLDER, SUFFIX, WorkerCount
from tests.support.pair_files import BEGIN, OUTPUT, PairFile, Scored, failed

ALARM, NONE = Scored(0.9, model="fraud:1"), Scored(0.1, model="fraud:1")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(compare, [str(argument) for argument in arguments])


def write_canary(folder: Path) -> None:
    """Write 1,000 pairs at 10 %, alarms 3.7 times as often, 5 candidate errors, one fallback."""
    file = PairFile(folder)
    file.start()
    for number in range(1_000):
        primary = ALARM if number < 90 else NONE
        candidate = ALARM if number < 330 else failed("error", "KeyError") if number > 994 else NONE
        active = "candidate" if number % 10 == 0 else "primary"
        file.pair(
            primary, candidate, active=active, segments={"channel": ["web", "app"][number % 2]}
        )
    file.stop()


def test_an_error_of_ours_is_explained_and_one_of_a_model_is_not(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for error in ("SideBusyError", "SideBusyError", "KeyError"):
        file.pair(NONE, failed("shed" if error == "SideBusyError" else "error", error))
    file.pair(NONE, NONE)
    lines = " ".join(run(tmp_path).stdout.split())
    assert "candidate errors: SideBusyError (2), KeyError (1)" in lines
    assert (
        "SideBusyError: the call waited in line for its whole time limit, behind other calls "
        "both sides ok"
    ) in lines


def test_the_tables_hold_the_figures_and_the_last_words_the_meaning(tmp_path: Path) -> None:
    write_canary(tmp_path)

    result = run(tmp_path)

    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "fraud-detector-v2: candidate against primary"
    assert lines[1] == "pairs 1,000, complete 100 %: 1,000 of 1,000 made by 1 worker"
    assert lines[2] == "time 2025-11-23 06:40:00 to 2025-11-23 06:40:10 UTC"
    assert "primary fraud:1 (1,000)" in lines
    assert "10 % 1,000 100 10.00 % 8.29 to 12.02 % 100" in lines
    assert "error 0 0 % 5 0.50 %" in lines
    assert "p99 of ok 2.00 ms 2.00 ms" in lines
    assert "candidate errors: KeyError (5)" in lines
    assert "both sides ok, compared below: 995 pairs; left out: candidate error (5)" in lines
    assert "candidate 0.5 330 33.17 % 30.31 to 36.15 %" in lines
    assert "primary none 240 665 905" in lines
    assert "alarm ratio 3.7 (3.1 to 4.4), agreement 75.88 % (73.12 to 78.43 %), n=995" in " ".join(
        lines
    )
    assert "0.5 0.1000 0.1000 0.0000" in lines
    assert "web 498 9.04 % 33.13 % 3.7 2.9 to 4.7" in lines
    assert " ".join(lines[lines.index("What it means") + 1 :]) == (
        "the candidate would fire 3.7 times as often as the primary at the same threshold "
        "(95 % CI 3.1 to 4.4, limit 1.10, n=995): HOLD until its threshold is calibrated"
    )


def test_any_number_of_outputs_fits_into_less_than_sixty_lines(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for number in range(6):
        primary = {f"class_{n}": 0.1 * (number + n % 3) for n in range(30)}
        file.pair(Scored(primary), Scored({name: 0.9 - score for name, score in primary.items()}))
    lines = run(tmp_path).output.splitlines()
    assert len(lines) == 59
    assert "What it means" in lines
    assert "Alarms of each output" in lines


@pytest.mark.parametrize("columns", [80, 120])
def test_what_is_printed_fits_the_terminal_and_is_plain_when_piped(
    tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_canary(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))

    output = run(tmp_path).output

    assert max(map(len, output.splitlines())) <= columns
    assert "\x1b" not in output


def test_a_regression_is_printed_without_alarms(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for number in range(4):
        file.pair(Scored(1000.0 + number, None), Scored(1010.5 + number, None))

    output = run(tmp_path).output

    assert "Alarms" not in output
    assert "1,003" in output
    words = " ".join(output.split())
    assert "the candidate's is 10 higher on average (n=4), and half of them differ by" in words
    assert "no threshold says from where on it matters: HOLD" in words


def test_classes_are_printed_with_how_often_the_sides_agree(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for number in range(10):
        red, blue = {"blue": 0.1, "red": 0.8}, {"blue": 0.8, "red": 0.1}
        file.pair(Scored(red), Scored(red if number < 9 else blue))

    words = " ".join(run(tmp_path).output.split())

    assert "all 2 outputs: the same decisions in 90.00 % of 10 pairs (59.58 to 98.21 %)" in words


def test_control_characters_from_the_data_never_reach_the_terminal(tmp_path: Path) -> None:
    PairFile(tmp_path).pair(segments={"channel": "\x1b[2Jweb[bold]\n"})

    output = run(tmp_path).output

    assert "\N{REPLACEMENT CHARACTER}[2Jweb[bold]\N{REPLACEMENT CHARACTER}" in output


def test_a_segment_with_many_values_is_cut_in_print_and_whole_in_json(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for number in range(40):
        file.pair(segments={"shop": f"s{number}"})

    assert "and 34 more values with fewer pairs" in run(tmp_path).output
    figures = json.loads(run(tmp_path, "--json", "-").output)
    assert len(figures["outputs"][0]["segments"]) == 40


def test_what_was_set_aside_is_said(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    pair = file.span()
    file.write(pair)
    file.write(pair)
    file.line('{"resourceMetrics": []}')
    file.line("not JSON")
    file.line('{"resourceSp', end="")

    words = " ".join(run(file.path).output.split())

    assert "set aside 1 duplicate, 1 span of other programs, 1 file cut off (first:" in words
    assert "1 corrupt (first:" in words


class TestJson:
    def test_holds_the_same_figures_under_stable_keys(self, tmp_path: Path) -> None:
        write_canary(tmp_path)
        written = tmp_path / "figures.json"

        printed = run(tmp_path, "--json", written)
        alone = run(tmp_path, "--json", "-")

        assert "What it means" in printed.output
        figures = json.loads(written.read_text())
        assert json.loads(alone.output) == figures
        assert list(figures) == [
            "source",
            "flag",
            "pairs",
            "first",
            "last",
            "accounting",
            "traffic",
            "primary",
            "candidate",
            "paired",
            "left_out",
            "outputs",
            "agreement",
            "equal_answers",
            "conclusion",
            "evidence",  # for the threshold that is offered
        ]
        [output] = figures["outputs"]
        assert output["output"] == OUTPUT
        assert output["alarms"]["flips"]["candidate_only"] == 240
        assert output["alarms"]["ratio"]["value"] == pytest.approx(330 / 90)
        assert output["scores"]["primary"]["0.995"] == 0.9
        assert figures["accounting"]["completeness"] == 1
        assert figures["traffic"]["by_rollout"][0]["active"]["rate"] == 0.1
        assert figures["candidate"]["errors"] == {"KeyError": 5}
        assert figures["first"] == "2025-11-23T06:40:00.010000+00:00"
        assert figures["conclusion"]["hold"] is True

    def test_has_null_where_there_is_no_number(self, tmp_path: Path) -> None:
        PairFile(tmp_path).pair(NONE, ALARM)

        [output] = json.loads(run(tmp_path, "--json", "-").stdout)["outputs"]

        assert output["alarms"]["ratio"]["value"] is None
        assert output["alarms"]["ratio"]["high"] is None
        assert output["alarms"]["ratio"]["low"] > 0

    def test_that_cannot_be_written_is_an_error(self, tmp_path: Path) -> None:
        PairFile(tmp_path).pair()

        result = run(tmp_path, "--json", tmp_path / "missing" / "figures.json")

        assert result.exit_code == 2
        assert "No such file or directory" in result.stderr


def write_running(folder: Path, *counts: WorkerCount) -> None:
    """Write ten pairs of a running worker, and its last count."""
    file = PairFile(folder)
    file.start()
    for _ in range(10):
        file.pair()
    for count in counts:
        path = folder / FOLDER / f"{count.worker}{SUFFIX}"
        path.parent.mkdir()
        path.write_text(json.dumps(asdict(count)))


class TestWorkersWithoutAnEnd:
    def test_one_that_left_no_count_lacks_nobody_knows_what(self, tmp_path: Path) -> None:
        write_running(tmp_path)

        line = " ".join(run(tmp_path).stdout.split())

        assert (
            "made by 1 worker (1 ended without a stop record and made an unknown number more)"
        ) in line

    def test_one_that_counted_lacks_what_it_makes_between_two_counts(self, tmp_path: Path) -> None:
        write_running(tmp_path, WorkerCount("worker-1", 10, 0, at=BEGIN, most=10))

        line = " ".join(run(tmp_path).stdout.split())

        assert "(1 ended without a stop record and made up to 20 more)" in line

    def test_one_that_runs_is_as_it_should_be(self, tmp_path: Path) -> None:
        write_running(tmp_path, WorkerCount("worker-1", 10, 0, at=time.time_ns(), most=10))

        assert "stop record" not in run(tmp_path).stdout


class TestWindow:
    def test_pairs_outside_of_it_are_left_out(self, tmp_path: Path) -> None:
        write_canary(tmp_path)

        result = run(
            tmp_path, "--since", "2025-11-23T06:40:05", "--until", "2025-11-23T07:40:06+01:00"
        )

        assert result.exit_code == 0, result.output
        assert "pairs 100, complete 100 %: 1,000 of 1,000 made" in " ".join(result.stdout.split())

    def test_without_pairs_is_an_error(self, tmp_path: Path) -> None:
        write_canary(tmp_path)

        result = run(tmp_path, "--since", "2026-01-01")

        assert result.exit_code == 2
        assert "holds no pairs in the window, only from 2025-11-23 06:40:00" in result.stderr

    def test_that_is_not_a_time_is_an_error(self, tmp_path: Path) -> None:
        result = run(tmp_path, "--until", "tomorrow")

        assert result.exit_code == 2
        assert "'tomorrow' is not an ISO 8601 time such as 2025-11-24T06:00 (UTC)" in result.stderr


class TestPage:
    def test_shows_the_evidence_and_decides_nothing(self, tmp_path: Path) -> None:
        write_canary(tmp_path / "pairs")

        result = run(tmp_path / "pairs", "--html", tmp_path / "page.html")

        assert result.exit_code == 0, result.output
        assert "What it means" in result.stdout
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert "this page decides nothing" in page
        assert "only candidate: 240" in page

    def test_that_cannot_be_written_is_an_error(self, tmp_path: Path) -> None:
        PairFile(tmp_path).pair()

        result = run(tmp_path, "--html", tmp_path / "missing" / "page.html")

        assert result.exit_code == 2
        assert "No such file or directory" in result.stderr


def test_labels_add_the_quality_of_both_sides(tmp_path: Path) -> None:
    write_canary(tmp_path / "pairs")
    labels = tmp_path / "labels.csv"
    rows = [f"worker-1-request-{number + 1},{int(number < 100)}" for number in range(1_000)]
    labels.write_text("\n".join(["request_id,label", *rows]), encoding="utf-8")

    result = run(tmp_path / "pairs", "--labels", labels, "--json", tmp_path / "figures.json")

    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert f"Quality: {OUTPUT}" in lines
    assert "recall 90.00 % of 100 100 % of 100" in lines
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["evidence"]["outputs"][0]["quality"]["labelled"] == 995


def offered(printed: str) -> str:
    """Return the lines about the offered threshold, which come before the conclusion."""
    found = printed.partition("\nWhat it means")[0].rpartition(f"{OUTPUT}: ")[2]
    return " ".join(found.split())


def test_alarms_that_differ_are_followed_by_the_threshold_that_keeps_them(tmp_path: Path) -> None:
    """Once this line was cut in the terminal, and only --html named the threshold."""
    file = PairFile(tmp_path / "pairs")
    file.start()
    for number in range(1_000):
        file.pair(ALARM if number < 90 else NONE, Scored(1 - number / 1_000, model="fraud:2"))
    file.stop()
    labels = tmp_path / "labels.csv"
    rows = [f"worker-1-request-{number + 1},{int(number < 45)}" for number in range(1_000)]
    labels.write_text("\n".join(["request_id,label", *rows]), encoding="utf-8")

    plain = offered(run(tmp_path / "pairs").stdout)
    labelled = offered(run(tmp_path / "pairs", "--labels", labels).stdout)

    said = (
        "the candidate's threshold 0.9105 (0.9075 to 0.9135) keeps the primary's number of alarms, "
        "90: their ratio at it is 1.00 (0.98 to 1.02)"
    )
    assert plain == said
    assert labelled == f"{said}, recall 100 %, precision 50.00 %"


def said_with_labels(folder: Path, labels: list[object]) -> str:
    """Return the conclusion for a folder's pairs, with labels in their order."""
    rows = [f"worker-1-request-{number},{label}" for number, label in enumerate(labels, 1)]
    (folder / "labels.csv").write_text("\n".join(["request_id,label", *rows]), encoding="utf-8")
    result = run(folder / "pairs", "--labels", folder / "labels.csv")
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.partition("What it means")[2].split())


@pytest.mark.parametrize(("lost", "is_objection"), [(100, True), (0, False)])
def test_labels_that_show_a_loss_are_an_objection(
    tmp_path: Path, lost: int, *, is_objection: bool
) -> None:
    """As many alarms as the primary, but on other requests: the output was "no objection"."""
    file = PairFile(tmp_path / "pairs")
    file.start()
    for number in range(1_000):
        alarm = lost <= number < 160 or 200 <= number < 200 + lost
        active = "candidate" if number % 10 == 0 else "primary"
        file.pair(ALARM if number < 160 else NONE, ALARM if alarm else NONE, active=active)
    file.stop()
    said = said_with_labels(tmp_path, [int(number < 200) for number in range(1_000)])
    assert ("recall -50 points against the primary's" in said) is is_objection
    assert said.startswith("no objection from these figures") is not is_objection


def test_labels_that_repeat_what_was_answered_are_no_objection_and_say_so(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs")
    file.start()
    answered = []
    for number in range(1_000):
        active = "candidate" if number % 10 in (0, 5) else "primary"
        said = {"primary": "cat", "candidate": "dog" if number % 50 in (5, 6, 10, 11) else "cat"}
        answered.append(said[active])
        changes = {attributes.side(side, "class", "species"): each for side, each in said.items()}
        file.pair(Scored({}), Scored({}), active=active, changes=changes)
    file.stop()
    said_of_it = said_with_labels(tmp_path, answered)
    assert said_of_it.startswith("no objection from these figures labels favour the side that")


class TestBadInput:
    def test_is_one_message_on_stderr_and_exit_code_2(self, tmp_path: Path) -> None:
        result = run(tmp_path / "nowhere")

        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"Error: {tmp_path}/nowhere: no such file or folder")

    def test_an_empty_folder_says_so(self, tmp_path: Path) -> None:
        result = run(tmp_path)

        assert result.exit_code == 2
        assert result.stderr == f"Error: {tmp_path} holds no pairs: 0 pair files\n"

    def test_a_file_of_something_else_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "data.jsonl").write_bytes(b"PAR1\x00\x15\x04\n\xff\xfe")

        result = run(tmp_path)

        assert result.exit_code == 2
        assert "data.jsonl, line 1: not JSON; expected" in result.stderr

    def test_two_flags_are_named_with_the_option_that_chooses(self, tmp_path: Path) -> None:
        PairFile(tmp_path, "worker-1", flag="first").pair()
        PairFile(tmp_path, "worker-2", flag="second").pair()

        result = run(tmp_path)

        assert result.exit_code == 2
        assert (
            "first, second; choose one of them with --flag, for example --flag first"
            in result.stderr
        )
        chosen = run(tmp_path, "--flag", "second")
        assert chosen.exit_code == 0
        assert "1 of 1 made by 1 worker" in " ".join(chosen.output.split())

    def test_another_flag_is_refused(self, tmp_path: Path) -> None:
        PairFile(tmp_path).pair()

        result = run(tmp_path, "--flag", "third")

        assert result.exit_code == 2
        assert "no pairs of flag third" in result.stderr


def test_pair_files_are_compared_without_bentoml_and_without_an_engine(tmp_path: Path) -> None:
    """A fresh interpreter runs the whole command without the extra `comparison`."""
    PairFile(tmp_path).pair(changes={attributes.API: "predict"})
    program = (
        "import sys; sys.modules |= dict.fromkeys(('pyarrow', 'ibis', 'duckdb'));"
        "from comparison.cli.compare import compare;"
        "compare([sys.argv[1], '--json', '-'], standalone_mode=False);"
        "heavy = {'bentoml', '_bentoml_sdk', 'UnleashClient', 'openfeature', 'scipy'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
