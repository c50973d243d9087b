"""The tutorial, followed from its second step to its last: each command prints what the page shows.

Its first step, and an environment with nothing else in it, are in `test_wheel.py`; the browser's
part of calibrating is in `test_dashboard_browser.py`.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.serving import Serving
from tests.support.console import Command, blocks
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.markdown import DOCS

pytest_plugins = ("tests.support.unleash.server",)

PAGE: Final = DOCS / "tutorial.md"
FILE: Final = re.compile(r"^```(?:python|yaml)\n(# (\w+\.(?:py|yaml))\n.*?)^```", re.M | re.S)
ADDRESS: Final = "http://127.0.0.1:3000"
BIN: Final = Path(sys.executable).parent
SHOWN: Final = os.environ.get("TUTORIAL_OUTPUT")
"""File that gets what the commands print, for whoever writes the page anew."""


class Reader:
    """Somebody who follows the page in one folder, with a service and traffic beside."""

    def __init__(self, folder: Path, dashboard: str) -> None:
        self.folder = folder
        self.dashboard = dashboard
        self.variables = environment(folder / "bentoml", OMP_NUM_THREADS="1", COLUMNS="100")
        self.variables["PATH"] = f"{BIN}{os.pathsep}{self.variables['PATH']}"
        self.log = folder / "service.log"
        self.traffic_log = folder / "traffic.log"
        self.served: Serving | None = None
        self.traffic: subprocess.Popen[bytes] | None = None

    def serve(self, words: list[str]) -> None:
        """Start the service, anew on its old port if it runs already."""
        port = self.served.port if self.served else None
        if self.served:
            self.served.stop()
        self.served = Serving(
            words[2], environment=self.variables, log=self.log, folder=self.folder
        )
        if port:
            self.served.port, self.served.url = port, f"http://127.0.0.1:{port}"
        self.served.start()

    def send(self) -> None:
        """Start the traffic."""
        with self.traffic_log.open("wb") as log:
            self.traffic = subprocess.Popen(
                [str(BIN / "python"), "traffic.py"],
                cwd=self.folder,
                env=self.variables,
                stdout=log,
                stderr=log,
            )

    def run(self, line: str) -> tuple[int, str]:
        """Run a line in a shell; return its exit code and what it printed."""
        url = self.served.url if self.served else ADDRESS
        if line.startswith(("bentoml migration status", "bentoml migration rollback")):
            line = f"{line} --service {url}"
        done = subprocess.run(
            ["bash", "-c", line.replace(ADDRESS, url)],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        text = done.stdout.replace("\r\n", "\n").replace(url, ADDRESS)
        text = text.replace(self.dashboard, "http://127.0.0.1:4242")
        if SHOWN:
            with Path(SHOWN).open("a") as shown:
                shown.write(f"$ {line}\n{text}{done.stderr}\n")
        return done.returncode, text

    def stop(self) -> None:
        """Stop traffic and service."""
        if self.traffic:
            self.traffic.terminate()
            self.traffic.wait()
        if self.served:
            self.served.stop()


@pytest.fixture
def reader(tmp_path: Path, unleash: LocalUnleash) -> Iterator[Reader]:
    reading = Reader(tmp_path, unleash.url)
    yield reading
    reading.stop()


def write_files(reader: Reader) -> None:
    assert reader.served is None
    for code, name in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (reader.folder / name).write_text(code, encoding="utf-8")


def commands() -> list[Command]:
    """Return the commands of the page; lines of traffic without one are shown by it."""
    return [command for block in blocks(PAGE) for command in block.commands]


def pairs_are(reader: Reader, count: int) -> None:
    """Wait until the traffic has got so many answers since now."""
    labels = reader.folder / "labels.csv"
    wanted = len(labels.read_text().splitlines()) + count
    assert eventually(lambda: len(labels.read_text().splitlines()) >= wanted, 180)


def with_variables(reader: Reader, unleash: LocalUnleash, line: str) -> None:
    """Take over the variables of a file that the dashboard would have written here."""
    source = (
        unleash.data.admin_environment if "admin.env" in line else unleash.data.service_environment
    )
    for entry in shlex.split(source.read_text()):
        name, _, value = entry.partition("=")
        reader.variables[name] = value


@pytest.mark.slow
def test_each_command_of_the_tutorial_prints_what_the_page_shows(
    reader: Reader, unleash: LocalUnleash
) -> None:
    write_files(reader)
    followed = []
    for command in commands():
        line, words = command.line, command.words
        followed.append(words[0])
        if words[0] in (".", "cd") or "venv" in line or words[:2] == ["pip", "install"]:
            continue  # step 1: test_wheel.py
        if line[0].isdigit():  # a block of what the traffic prints meanwhile
            assert goes_on_as(reader, line.splitlines())
        elif line.startswith("set -a"):
            with_variables(reader, unleash, line)
        elif words[:2] == ["bentoml", "serve"]:
            reader.serve(words)
            serving = reader.served
            assert serving is not None
            traffic = reader.folder / "traffic.py"
            traffic.write_text(traffic.read_text().replace(ADDRESS, serving.url))
        elif line.startswith("bentoml migration dashboard"):
            seed(unleash.admin, words[words.index("--flag") + 1])  # it runs in test_dashboard.py
        elif words[-1] == "traffic.py":
            reader.send()
            assert eventually(lambda: len(reader.traffic_log.read_text().splitlines()) >= 2, 120)
            command.agrees_with(reader.traffic_log.read_text())
            pairs_are(reader, 900)
        elif words[:3] == ["bentoml", "migration", "advance"]:
            assert eventually(lambda c=command: advanced(reader, c), 300, 10)  # type: ignore[misc]
        else:
            code, printed = reader.run(line)
            assert code in (0, 10), printed
            command.agrees_with(printed)
    assert {"python", "bentoml", "curl", "set", "pip"} <= {*followed}
    assert "status" not in reader.traffic_log.read_text()


def advanced(reader: Reader, command: Command) -> bool:
    """Say whether the flag was moved, as the page shows it."""
    code, printed = reader.run(command.line)
    if code == 10:
        return False
    assert code == 0, printed
    command.agrees_with(printed)
    return True


def goes_on_as(reader: Reader, lines: list[str]) -> bool:
    """Say whether the traffic prints such lines from now on."""
    before = len(reader.traffic_log.read_text())

    def printed() -> bool:
        try:
            Command("python traffic.py", lines).agrees_with(reader.traffic_log.read_text()[before:])
        except AssertionError:
            return False
        return True

    return eventually(printed, 120, 1)
