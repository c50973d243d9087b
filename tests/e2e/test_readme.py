"""The README's ten lines answer and are compared as it prints them, from examples/ten_lines."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import httpx
import pytest

from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.markdown import section
from tests.support.paths import ROOT

BENTOML: Final = Path(sys.executable).with_name("bentoml")


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the lines that the page prints below it."""

    words: list[str]
    printed: list[str]

    def agrees_with(self, output: str) -> None:
        """Assert that the output has the printed lines, in this order; model tags may differ."""
        lines = map(str.rstrip, without_tags(output).splitlines())
        for line in self.printed:
            assert without_tags(line) in lines, f"{line!r} is not in its place in:\n{output}"


def without_tags(text: str) -> str:
    """Cut the version off each model tag."""
    return re.sub(r"\b([\w-]+):[a-z0-9]{12,}\b", r"\1", text)


def commands() -> list[Command]:
    """Return the commands of the section's console blocks, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", section(ROOT / "README.md", "The ten lines"), re.S)
    found: list[Command] = []
    for line in "".join(blocks).splitlines():
        if line.startswith("$ "):
            found.append(Command(shlex.split(line[2:]), []))
        elif line:
            found[-1].printed.append(line)
    return found


def headers_of(words: list[str]) -> dict[str, str]:
    """Return the headers that a curl command sends."""
    named = (value for option, value in pairwise(words) if option == "-H")
    return dict(each.split(": ", 1) for each in named)


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
    install, _, flag, serve, curl, compare = commands()
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
            headers=headers_of(curl.words),
            content=body.read_bytes(),
            timeout=60,
        )
        sent = [f"{name}: {value}" for name, value in answer.headers.items()]
        curl.agrees_with("\n".join([*sent, answer.text]))
        files = folder / "pairs"
        assert eventually(
            lambda: "migration.pair" in "".join(map(Path.read_text, files.glob("*.jsonl")))
        )
        compare.agrees_with(run(compare))
