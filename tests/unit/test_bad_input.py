"""What a place with pairs may hold that it should not: said or counted, never a traceback."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flags.cli import migration
from flags.export import attributes
from tests.support.pair_files import BEGIN, FLAG, OUTPUT, PairFile, Scored, failed, span, traces

END = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(seconds=10)
PLAYBOOK = f"""
flag: {FLAG}
warm_up: 0
label_cut_off: 0s
steps:
  - {{stage: canary, rollout: 10, hold: 1s, min_pairs: 10}}
  - {{stage: ramp, rollout: 100, hold: 1s, min_pairs: 10}}
"""
DAY = 86_400_000_000_000
LARGEST_PAGE = 2_000_000

Fill = Callable[[Path, PairFile], None]


def torn(_folder: Path, file: PairFile) -> None:
    file.line('{"resourceSpans": [{"resou', end="")


def foreign(_folder: Path, file: PairFile) -> None:
    file.write(span("GET /", {}), span("SELECT", {}))
    file.line(json.dumps(traces(span(attributes.PAIR_SPAN, {}), scope="somebody else")))


def mixed_models(_folder: Path, file: PairFile) -> None:
    file.pair(Scored(model="fraud:1"), Scored(model="fraud:3"))
    file.pair(Scored(model="fraud:1"), Scored(model="fraud:2"))


def two_flags(folder: Path, _file: PairFile) -> None:
    other = PairFile(folder, "worker-2", flag="another-flag")
    other.pair()
    other.pair()


def clock_ahead(_folder: Path, file: PairFile) -> None:
    """A worker whose clock is fifty years ahead of ours."""
    made = file.span()
    made["startTimeUnixNano"] = str(BEGIN + 50 * 365 * DAY)
    file.write(made)


def duplicates(folder: Path, file: PairFile) -> None:
    shutil.copy(file.path, folder / "delivered-again.jsonl")


def corrupt(_folder: Path, file: PairFile) -> None:
    file.line("{]")
    file.pair()


CASES: dict[Fill, tuple[str, ...]] = {
    torn: ("1 file cut off (first: ",),
    foreign: ("3 spans of other programs", "3 spans of other programs"),
    mixed_models: ("2 models of the candidate: fraud:2 (1), fraud:3 (1)",),
    two_flags: ("another-flag (2)",),
    clock_ahead: ("set aside: 1 pair with an impossible time",),
    duplicates: ("30 duplicates",),
    corrupt: ("1 line could not be read", "1 corrupt"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK, encoding="utf-8")
    return tmp_path


def write_pairs(folder: Path, fill: Fill | None = None) -> None:
    file = PairFile(folder / "pairs")
    for number in range(30):
        file.pair(Scored(number / 30), Scored(number / 40), segments={"channel": "web"})
    if fill is not None:
        fill(folder / "pairs", file)


def bentoml_migration(*arguments: object) -> Result:
    result = CliRunner().invoke(migration, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def gate(folder: Path, place: str, *options: object) -> Result:
    playbook = folder / "playbook.yaml"
    return bentoml_migration("gate", folder / place, "--playbook", playbook, *options)


@pytest.mark.parametrize("fill", CASES, ids=lambda fill: fill.__name__)
def test_what_should_not_be_there_is_noted_by_gate_and_page(folder: Path, fill: Fill) -> None:
    """From the pair files and from a compacted folder alike."""
    write_pairs(folder, fill)
    compacted = bentoml_migration("compact", folder / "pairs", "--into", folder / "compacted")
    assert compacted.exit_code == 0, compacted.output
    said = []
    for place in ("pairs", "compacted"):
        page = folder / f"{place}.html"
        until = () if fill is clock_ahead else ("--until", END.isoformat())
        result = gate(folder, place, "--json", "-", "--html", page, *until)
        assert result.exit_code == 10, result.output
        notes = json.loads(result.stdout)["evidence"]["notes"]
        assert any(words in note for note in notes for words in CASES[fill]), notes
        assert page.stat().st_size < LARGEST_PAGE
        said.append(notes)
    assert said[0] == said[1]


@pytest.mark.parametrize("fill", CASES, ids=lambda fill: fill.__name__)
def test_what_should_not_be_there_does_not_stop_compare(folder: Path, fill: Fill) -> None:
    write_pairs(folder, fill)
    bentoml_migration("compact", folder / "pairs", "--into", folder / "compacted")
    found = []
    for place in ("pairs", "compacted"):
        result = bentoml_migration("compare", folder / place, "--flag", FLAG, "--json", "-")
        assert result.exit_code == 0, result.output
        figures = json.loads(result.stdout, parse_float=_to_12_digits)
        assert figures.pop("source") == str(folder / place)
        # Compacted pairs are those of the last run, pair files those of this moment.
        assert (figures["accounting"].pop("as_of") is None) == (place == "pairs")
        found.append(figures)
    assert found[0] == found[1]
    result = bentoml_migration("compare", folder / "compacted", "--flag", FLAG)
    assert result.exit_code == 0, result.output
    assert "What it means" in result.stdout


def _to_12_digits(text: str) -> float:
    """Round: an engine adds up in another order."""
    return float(f"{float(text):.12g}")


def test_two_flags_ask_compare_for_a_choice_and_gate_takes_the_playbooks(folder: Path) -> None:
    write_pairs(folder, two_flags)
    result = bentoml_migration("compare", folder / "pairs")
    assert result.exit_code == 2
    assert "another-flag, fraud-detector-v2; choose one of them with --flag" in result.stderr
    assert gate(folder, "pairs", "--until", END.isoformat()).exit_code == 10
    result = gate(folder, "pairs", "--flag", "no-such-flag")
    assert result.exit_code == 2
    assert "Error: " in result.stderr


@pytest.mark.parametrize("place", ["pairs", "compacted"])
def test_labels_of_no_pair_are_counted(folder: Path, place: str) -> None:
    write_pairs(folder)
    bentoml_migration("compact", folder / "pairs", "--into", folder / "compacted")
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["request_id", "label"])
        rows.writerows([["nobody", 1], ["worker-1-request-1", 0], ["worker-1-request-30", 1]])
    options = ("--labels", folder / "labels.csv", "--until", END.isoformat(), "--json", "-")
    evidence = json.loads(gate(folder, place, *options).stdout)["evidence"]
    assert any(note.startswith("1 label belong to no pair") for note in evidence["notes"])
    assert evidence["outputs"][0]["quality"]["labelled"] == 2


@pytest.mark.parametrize("command", ["compare", "gate", "compact"])
def test_no_pairs_at_all_are_a_clear_message(folder: Path, command: str) -> None:
    (folder / "pairs").mkdir()
    if command == "compact":
        result = bentoml_migration("compact", folder / "pairs", "--into", folder / "compacted")
        assert result.exit_code == 0
        assert result.stdout == "Nothing new in 0 files.\n"
        result = gate(folder, "compacted")
    elif command == "gate":
        result = gate(folder, "pairs")
    else:
        result = bentoml_migration("compare", folder / "pairs")
    assert result.exit_code == 2
    assert "holds no pairs: 0 pair files" in result.stderr
    assert result.stdout == ""


# --- extremes of the page -------------------------------------------------------------------------

Pair = tuple[Scored, Scored]
EXTREMES: dict[str, tuple[Pair, ...]] = {
    "ten rows": tuple((Scored(n / 10), Scored(n / 9)) for n in range(10)),
    "one row": ((Scored(0.9), Scored(0.1)),),
    "constant scores": ((Scored(0.25), Scored(0.25)),) * 40,
    "scores of 0 and 1": ((Scored(0.0), Scored(1.0)), (Scored(1.0), Scored(0.0))) * 20,
    "enormous scores": ((Scored(1e300, 0.0), Scored(-1e300, 0.0)), (Scored(1e-300), Scored(0.0))),
    "no threshold": ((Scored(0.3, None), Scored(0.4, None)),) * 20,
    "a candidate that always failed": ((Scored(0.3), failed("error", "ValueError")),) * 40,
    "a primary that always failed": ((failed("timeout", "TimeoutError"), Scored(0.9)),) * 40,
    "both failed": ((failed("error", "E"), failed("shed")),) * 40,
    "nobody scored": ((Scored({}), Scored({})),) * 20,
}


@pytest.mark.parametrize("labelled", [None, [1]], ids=["no labels", "one-sided labels"])
@pytest.mark.parametrize("name", EXTREMES)
def test_a_page_is_made_of_any_pairs(folder: Path, name: str, labelled: list[int] | None) -> None:
    file = PairFile(folder / "pairs")
    file.start()
    for primary, candidate in EXTREMES[name]:
        file.pair(primary, candidate)
    options: list[object] = ["--until", END.isoformat(), "--html", folder / "page.html"]
    if labelled is not None:
        rows = [f"worker-1-request-{n + 1},{labelled[n % len(labelled)]}" for n in range(50)]
        (folder / "labels.csv").write_text("\n".join(["request_id,label", *rows]))
        options += ["--labels", folder / "labels.csv"]
    result = gate(folder, "pairs", *options)
    assert result.exit_code in (10, 20), result.output
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert len(page) < LARGEST_PAGE
    assert "nan" not in page.lower().replace("dominan", "").replace("finan", "")
    assert (OUTPUT in page) == (name not in ("both failed", "nobody scored"))


def test_the_installed_command_itself_prints_no_traceback(folder: Path) -> None:
    write_pairs(folder, torn)
    for arguments, code in (
        (("compact", folder / "pairs", "--into", folder / "compacted"), 0),
        (("gate", folder / "compacted", "--playbook", folder / "playbook.yaml"), 10),
        (("compare", folder / "nowhere"), 2),
    ):
        done = subprocess.run(
            [Path(sys.executable).parent / "bentoml", "migration", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr + done.stdout
