"""The README's ten lines answer and are compared as it prints them, from examples/ten_lines."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import pytest

from service.serving import Serving
from tests.support.console import Command, blocks
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.markdown import section
from tests.support.paths import ROOT

BENTOML: Final = Path(sys.executable).with_name("bentoml")
README: Final = ROOT / "README.md"


def commands() -> list[Command]:
    """Return the commands of the section's console blocks, in their order."""
    wanted = section(README, "The ten lines")
    return [
        command
        for block in blocks(README)
        if block.commands[0].line in wanted
        for command in block.commands
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the folder that the README goes into, as a clone has it."""
    goes = next(each.words for each in commands() if each.words[0] == "cd")
    kept = ("service.py", "models.py", "transaction.json")
    copy = tmp_path / "ten_lines"
    copy.mkdir()
    for name in kept:
        shutil.copy(ROOT / goes[1] / name, copy)
    return copy


def test_the_ten_lines_answer_and_are_compared_as_the_readme_prints(folder: Path) -> None:
    environments, install, goes, flag, serve, again, curl, compare = commands()
    assert environments.line.endswith(again.line.partition(" && ")[0])
    assert again.line.endswith(goes.line)
    assert install.words[:2] == ["pip", "install"]
    settings = environment(folder / "bentoml")

    def run(command: Command) -> str:
        assert command.words[0] == "bentoml"
        done = subprocess.run(
            [str(BENTOML), *command.words[1:]],
            cwd=folder,
            env=settings,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout

    flag.agrees_with(run(flag))
    assert serve.words[:2] == ["bentoml", "serve"]
    with Serving(
        serve.words[2], environment=settings, log=folder / "service.log", folder=folder
    ) as serving:
        assert curl.words[:2] == ["curl", "-i"]
        _, _, path = curl.words[2].partition("localhost:3000")
        body = folder / curl.words[-1].removeprefix("@")
        answer = httpx.post(
            serving.url + path,
            headers=curl.headers,
            content=body.read_bytes(),
            timeout=60,
        )
        sent = [f"{name}: {value}" for name, value in answer.headers.items()]
        curl.agrees_with("\n".join([*sent, answer.text]))
        told = serving.log.read_text()
        for line in (
            f"flag fraud-detector-v2: on, at 10 %, from {folder / 'flags.json'}",
            f"pairs are written to {folder / 'pairs'}",
            "live page: /migration",
            "recorded of inputs: nothing",
        ):
            assert f"] {line}\n" in told
        files = folder / "pairs"
        assert eventually(
            lambda: "migration.pair" in "".join(map(Path.read_text, files.glob("*.jsonl")))
        )
        compare.agrees_with(run(compare))
