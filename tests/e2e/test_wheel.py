"""The wheel, installed into an empty environment, carries the tutorial: its files and its commands.

Nothing of this checkout can be imported there, and the reference service is not in the wheel.
"""

import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

from service.serving import Serving
from tests.support.fraud_store import environment
from tests.support.markdown import DOCS
from tests.support.paths import ROOT
from tests.support.wheel import built_wheel

TUTORIAL = DOCS / "tutorial.md"
FILE = re.compile(r"^```(?:python|yaml)\n(# (\w+\.(?:py|yaml))\n.*?)^```", re.M | re.S)
INSTALL = re.compile(r"^\$ pip install ('\.\[.*)$", re.M)
FLAG = re.compile(r'flag="([\w-]+)"')
SERVICE = re.compile(r"^(\w+) = migrate\(", re.M)
SCORE = re.compile(r'score="(\w+)"')
REQUESTS = 100
HOLD = 10
"""Exit code of the gate while there are too few pairs."""

PARCELS = f"""
import json
from train import parcels
inputs, late = parcels({REQUESTS}, seed=3)
print(json.dumps([dict(zip(("km", "kg", "hour"), row)) for row in inputs.tolist()]))
"""


class Newcomer:
    """A folder with the files of the tutorial, and an environment with nothing but the wheel."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        # Threads save seconds on idle cores; on busy ones they wait for each other for minutes.
        given = environment(folder / "bentoml", OMP_NUM_THREADS="1")
        self.environment = {
            name: value for name, value in given.items() if not name.startswith("PYTHON")
        }
        text = TUTORIAL.read_text(encoding="utf-8")
        self.files = {name: code for code, name in FILE.findall(text)}
        for name, code in self.files.items():
            (self.folder / name).write_text(code, encoding="utf-8")
        self._bin = folder / "venv" / "bin"
        venv.create(folder / "venv", with_pip=False)
        self._install(wheel, INSTALL.findall(text))

    @property
    def python(self) -> Path:
        return self._bin / "python"

    def run(self, program: str, *arguments: str, exits: int = 0) -> str:
        """Run a program of the environment in the folder; return what it printed."""
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == exits, done.stdout + done.stderr
        return done.stdout

    def _install(self, wheel: Path, commands: list[str]) -> None:
        """Install what the tutorial says, at the versions of the lock, with the wheel as ours."""
        assert commands, "the tutorial installs nothing"
        named = [
            re.sub(r"^\.(\[.*\])?$", rf"bentoml-flags\1 @ {wheel.as_uri()}", each)
            for command in commands
            for each in shlex.split(command, comments=True)
            if not each.startswith("-")
        ]
        install = subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "install", "--python", str(self.python)),
                *("--constraint", str(ROOT / "requirements.lock"), *named),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert install.returncode == 0, install.stderr


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    folder = tmp_path_factory.mktemp("newcomer")
    return Newcomer(folder, built_wheel(tmp_path_factory))


@pytest.mark.slow
def test_the_tutorials_own_service_is_trained_served_paired_and_compared(
    newcomer: Newcomer,
) -> None:
    told = newcomer.files["service.py"]
    (flag,), (score,), (name,) = (each.findall(told) for each in (FLAG, SCORE, SERVICE))
    newcomer.run("python", "train.py")
    newcomer.run(*("bentoml", "migration", "file", "flags.json", "--flag", flag, "--rollout", "10"))
    inputs = httpx.Response(200, text=newcomer.run("python", "-c", PARCELS)).json()
    with Serving(
        f"service:{name}",
        environment=newcomer.environment,
        log=newcomer.folder / "service.log",
        folder=newcomer.folder,
        python=newcomer.python,
    ) as serving:
        answers = {}
        for number, body in enumerate(inputs):
            headers = {"X-Request-Id": f"parcel-{number}"}
            answer = httpx.post(f"{serving.url}/predict", json=body, headers=headers, timeout=30)
            assert answer.status_code == 200, answer.text
            assert 0 <= answer.json()[score] <= 1
            answers[answer.headers["X-Request-Id"]] = answer.headers["X-Model-Side"]
    assert set(answers.values()) == {"primary", "candidate"}

    compared = newcomer.run("bentoml", "migration", "compare", "pairs")
    assert f"Alarms: {score}" in compared
    assert re.search(rf"\b{REQUESTS}\b", compared), compared
    judged = newcomer.run(
        *("bentoml", "migration", "gate", "pairs", "--playbook", "playbook.yaml"), exits=HOLD
    )
    assert "HOLD: " in judged


@pytest.mark.slow
def test_a_wheel_brings_neither_the_reference_service_nor_this_checkout(newcomer: Newcomer) -> None:
    where = newcomer.run(
        *("python", "-c", "import flags, comparison; print(flags.__file__, comparison.__file__)")
    )
    assert all(str(newcomer.python.parents[1]) in each for each in where.split())
    found = newcomer.run(
        *("python", "-I", "-c"),
        "import importlib.util; print(*map(importlib.util.find_spec, ('service', 'tests')))",
    )
    assert found.split() == ["None", "None"]
