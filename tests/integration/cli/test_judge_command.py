"""`bentoml migration judge` as a program: asked, interrupted, gone on with, and judged by."""

import csv
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flags.cli import migration
from tests.support.chat_server import ChatServer
from tests.support.pair_files import BEGIN, FLAG
from tests.support.text_pairs import TextPairFile, text_pairs

END = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(seconds=30)
PLAYBOOK = f"""
flag: {FLAG}
steps:
  - {{stage: canary, rollout: 10, hold: 1s, min_pairs: 10, min_labels: 1}}
"""
JUDGE = """
import pathlib, sys, time

def longer(prompt, first, second):
    with open("asked.txt", "a") as file:
        file.write(f"{prompt}|{first}\\n")
    time.sleep(0.02)
    return "first" if len(first) > len(second) else "second"

def failing(prompt, first, second):
    raise ConnectionError("nobody is there")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judge_of_this_test.py").write_text(JUDGE)
    text_pairs(tmp_path / "pairs", 300, alike=20)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(migration, ["judge", "pairs", *arguments])


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "preferences.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_interrupted_run_asks_no_question_twice(folder: Path) -> None:
    options = ["--judge", "judge_of_this_test:longer", "--parallel", "2", "--budget", "200"]
    command = [sys.executable, "-m", "flags", "judge", "pairs", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as begun:
        while not (folder / "asked.txt").exists() or len(table(folder)) < 10:
            assert begun.poll() is None
        begun.send_signal(signal.SIGINT)
        _, said = begun.communicate()
    assert begun.returncode == 130
    assert "waiting for the questions" in said
    asked_before = (folder / "asked.txt").read_text().splitlines()
    assert 10 <= len(asked_before) == len(table(folder)) < 200

    again = run(*options)

    asked = Counter((folder / "asked.txt").read_text().splitlines())
    assert set(asked.values()) == {1}
    assert len(asked) == len(table(folder)) == 200
    assert "100 pairs judged in both orders" in again.output
    assert "preferred in 100 % of 90 pairs" in again.output
    assert "of 10 pairs of the same model twice" in again.output

    assert run(*options).exit_code == 0
    assert len(table(folder)) == 200


def test_the_gate_takes_the_table(folder: Path) -> None:
    (folder / "playbook.yaml").write_text(PLAYBOOK)
    assert run("--judge", "judge_of_this_test:longer", "--parallel", "16").exit_code == 0

    given = ["gate", "pairs", "--playbook", "playbook.yaml", "--until", END.isoformat()]
    judged = CliRunner().invoke(migration, [*given, "--preferences", "preferences.csv"])
    without = CliRunner().invoke(migration, given)

    assert "win rate" in judged.output
    assert "no labels were given" not in " ".join(judged.output.split())
    assert "no labels were given" in " ".join(without.output.split())


def test_compare_shows_what_judges_prefer_and_some_of_the_texts(folder: Path) -> None:
    assert run("--judge", "judge_of_this_test:longer", "--parallel", "16").exit_code == 0
    given = ["compare", "pairs", "--preferences", "preferences.csv", "--html", "page.html"]
    compared = CliRunner().invoke(migration, given)

    assert compared.exit_code == 0, compared.output
    assert "the candidate's text preferred" in compared.output
    assert "Texts that were judged" in Path("page.html").read_text("utf-8")


def test_a_judge_that_fails_is_said_and_its_questions_are_asked_again(folder: Path) -> None:
    failed = run("--judge", "judge_of_this_test:failing", "--retries", "0", "--budget", "4")

    assert failed.exit_code == 1, failed.output
    assert {row["error"] for row in table(folder)} == {"ConnectionError"}
    assert run("--judge", "judge_of_this_test:longer", "--budget", "4").exit_code == 0
    assert sum(row["preference"] != "" for row in table(folder)) == 4


def test_a_judge_that_never_answers_is_given_up(folder: Path) -> None:
    failed = run("--judge", "judge_of_this_test:failing", "--retries", "0")

    assert failed.exit_code == 2
    assert "questions in a row, at last with" in failed.output
    assert 10 <= len(table(folder)) <= 13
    assert "ConnectionError: nobody is there" in failed.output


def test_a_chat_model_is_asked_over_http(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    (folder / "judge.txt").write_text("{prompt}\n---\n{first}\n---\n{second}")

    def reply(message: str) -> str:
        _, first, second = message.split("\n---\n")
        return "[[A]]" if len(first) > len(second) else "[[B]]"

    with ChatServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "a key")
        options = ["--model", "small", "--instructions", "judge.txt", "--price", "1", "2"]
        found = run("--judge", "openai", *options, "--budget", "40", "--max-cost", "0.02")
    assert found.exit_code == 0, found.output
    rows = table(folder)
    assert 19 <= len(rows) <= 23  # 0.0011 each; those on their way are waited for
    assert {row["judge"] for row in rows} == {"openai:small"}
    assert all(row["cost"] == "0.0011" for row in rows)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--judge", "nothing"], "'nothing' is not of the form module:function"),
        (["--judge", "no_such_module_here:f"], "there is no module no_such_module_here"),
        (["--judge", "openai"], "--judge openai needs --model and --instructions"),
        (["--judge", "judge_of_this_test:longer", "--budget", "1"], "1 is not in the range x>=2"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, options: list[str], problem: str) -> None:
    found = run(*options)

    assert found.exit_code == 2
    assert problem in found.output


def test_a_folder_without_texts_is_said_to_lack_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judge_of_this_test.py").write_text(JUDGE)
    TextPairFile(tmp_path / "pairs").pair()

    found = run("--judge", "judge_of_this_test:longer")

    assert found.exit_code == 2
    assert "no pair holds the texts of both sides" in found.output
    assert os.path.getsize("preferences.csv") > 0
