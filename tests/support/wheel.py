"""Build the wheel as setuptools itself does: from a copy of the source, without the network."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.once_per_run import once
from tests.support.paths import ROOT

_BUILD: Final = (
    "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
)


def built_wheel(factory: pytest.TempPathFactory) -> Path:
    """Return the path of the wheel, which is built once in this run."""
    (wheel,) = once(factory, "wheel", _build).glob("*.whl")
    return wheel


def _build(folder: Path) -> None:
    leave = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    source = folder / "source"
    for package in ("flags", "comparison"):
        shutil.copytree(ROOT / package, source / package, ignore=leave)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _BUILD, str(folder)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    shutil.rmtree(source)
