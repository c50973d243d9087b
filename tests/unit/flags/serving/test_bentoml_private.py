"""The private names of BentoML that are used exist in each allowed version."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from flags.serving import bentoml_private
from tests.support.paths import ROOT

IMPORT = "import flags.serving.bentoml_private as private; print(*private.__all__)"
CONSTRUCTED = """
import inspect
from flags.serving.bentoml_private import APIMethod
wanted = {"func", "batchable", "batch_dim", "max_batch_size", "max_latency_ms", "is_task"}
lacking = wanted - set(inspect.signature(APIMethod).parameters)
assert not lacking, f"APIMethod takes no {sorted(lacking)}: flags.serving.migrate passes them"
"""


def run(python: str | Path, code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in paths)}
    return subprocess.run(
        [python, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
        cwd=ROOT,
    )


def test_the_versions_in_the_message_are_those_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"bentoml{bentoml_private.SUPPORTED}"' in project


def test_a_bentoml_that_lacks_a_name_is_refused_in_words() -> None:
    """The installed BentoML with a name removed stands for a future version."""
    code = (
        "import sys\n"
        "import _bentoml_sdk.method\n"
        "del _bentoml_sdk.method.APIMethod\n"
        "import flags.serving.bentoml_private\n"
    )
    done = run(sys.executable, code, ROOT)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1]
    assert re.match(
        r"flags\.errors\.MigrationError: bentoml-flags cannot work with BentoML 1\.\d+\.\d+: "
        r"cannot import name 'APIMethod' from '_bentoml_sdk\.method' .*Install a version in "
        r"bentoml>=1\.4\.35,<2; if this is one, please report it",
        said,
    )


@pytest.fixture
def python_with(tmp_path: Path) -> Callable[[str], Path]:
    def install(requirement: str) -> Path:
        folder = tmp_path / "environment"
        uv = find_uv_bin()
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        python = folder / "bin" / "python"
        done = subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", python, requirement, "setuptools"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return python

    return install


@pytest.mark.slow
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_each_allowed_version_of_bentoml_has_what_is_used(
    which: str, python_with: Callable[[str], Path]
) -> None:
    lowest = re.match(r">=([\d.]+),<2", bentoml_private.SUPPORTED)
    assert lowest is not None
    python = python_with(
        f"bentoml=={lowest.group(1)}"
        if which == "oldest"
        else f"bentoml{bentoml_private.SUPPORTED}"
    )
    for code in (IMPORT, CONSTRUCTED):
        done = run(python, code, ROOT)
        assert done.returncode == 0, done.stderr
