"""A candidate in an environment of its own: another interpreter, with other libraries."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flags.errors import MigrationError
from flags.files import lock_file

_OF_THIS_PYTHON: Final = ("PYTHONHOME", "VIRTUAL_ENV", "PROMETHEUS_MULTIPROC_DIR")
"""Variables of this interpreter, and of the files in which its libraries keep metrics."""

_CACHE: Final = "BENTOML_FLAGS_CACHE"
"""Variable that names the folder of the environments that are made."""

CARRIED: Final = "env/python/candidates"
"""Folder of a Bento that holds the packages of such candidates, a file for each."""

_PYTHON: Final = re.compile(r"# python ([\d.]+)\n")
"""First line of such a file: the version of the interpreter."""


@dataclass(frozen=True, slots=True)
class OwnEnvironment:
    """A candidate that another interpreter imports; nothing of it is imported here.

    Its interpreter is `python`, or that of an environment that is made of `requirements`.
    """

    target: str
    """Import string of the service, `module:name`."""
    python: Path | None = None
    requirements: Path | None = None

    def interpreter(self) -> Path:
        """Return the interpreter, made first if need be; raises OSError in words. Blocks."""
        if self.python is not None:
            return self.python
        assert self.requirements is not None  # noqa: S101 - one of them is given
        return _made(self.requirements)

    @property
    def carried_as(self) -> str:
        """Return the name under which a Bento and its image carry the environment."""
        return _carried_as(self.target)

    @property
    def label(self) -> str:
        """Return what stands for the model until its process has said what it serves."""
        return self.target.rpartition(":")[2]

    def variables(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of its process: `ours`, but for what is this interpreter's."""
        kept = {name: value for name, value in ours.items() if name not in _OF_THIS_PYTHON}
        if path := kept.pop("PYTHONPATH", ""):
            own = [each for each in path.split(os.pathsep) if "site-packages" not in each]
            kept["PYTHONPATH"] = os.pathsep.join(own)
        return kept

    def __str__(self) -> str:
        """Say what runs where."""
        return f"{self.target} of {self.python or self.requirements}"


def own_environment_of(
    candidate: Any, python: str | Path | None, requirements: str | Path | None
) -> Any:
    """Return `candidate` with the environment that is given for it; itself where none is.

    In a Bento, and in its image, that is the one which they carry.
    Raises MigrationError for what is no interpreter, no file of requirements or no import string.
    """
    if python is None and requirements is None:
        if isinstance(candidate, str):
            raise MigrationError(
                f"the candidate is {candidate!r}: an import string needs candidate_python or "
                "candidate_requirements, an address is written Remote('http://...')"
            )
        return candidate
    if python is not None and requirements is not None:
        raise MigrationError("candidate_python and candidate_requirements are given: give one")
    module, _, name = candidate.partition(":") if isinstance(candidate, str) else ("", "", "")
    if not module or not name:
        raise MigrationError(
            f"the candidate is {candidate!r}: with an environment of its own it must be an import "
            "string like 'claims_v2:ClaimsV2', since nothing of it is imported here"
        )
    if carried := _carried(candidate):
        return carried
    if python is not None and not os.access(python, os.X_OK):
        raise MigrationError(
            f"candidate_python is {str(python)!r}, where no interpreter is: it must be like "
            "'/venvs/v2/bin/python'"
        )
    if requirements is not None and not Path(requirements).is_file():
        raise MigrationError(f"candidate_requirements: there is no file {str(requirements)!r}")
    return OwnEnvironment(
        candidate,
        None if python is None else Path(python).absolute(),
        None if requirements is None else Path(requirements).absolute(),
    )


def _carried_as(target: str) -> str:
    return target.replace(":", ".")


def _carried(target: str) -> OwnEnvironment | None:
    """Return the environment of `target` in this image, or as the Bento says that is served."""
    name = _carried_as(target)
    python = Path(sys.prefix) / "share" / "bentoml-flags" / name / "bin" / "python"
    if python.exists():
        return OwnEnvironment(target, python=python)
    requirements = Path.cwd().parent / CARRIED / f"{name}.txt"  # a Bento is served from its src
    return OwnEnvironment(target, requirements=requirements) if requirements.exists() else None


def _made(requirements: Path) -> Path:
    """Return the interpreter of an environment with `requirements`, made once for each content."""
    content = requirements.read_bytes()
    named = _PYTHON.match(content.decode())
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    version = sys.executable if named is None or named[1] == ours else named[1]
    tag = f"{sys.implementation.cache_tag}-{sys.platform}".encode()
    digest = hashlib.sha256(content + tag).hexdigest()[:16]
    cache = Path(os.environ.get(_CACHE) or Path.home() / ".cache" / "bentoml-flags")
    folder = cache / "environments" / digest
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:  # other workers wait for the first
        lock_file(lock.fileno(), wait=True)
        if not (folder / "complete").exists():
            uv("venv", "--clear", "--python", version, str(folder))
            uv("pip", "install", "--python", str(python), "--requirements", str(requirements))
            (folder / "complete").touch()
    return python


def uv(*arguments: str) -> str:
    """Run uv and return what it prints; raises OSError in its words."""
    from uv import find_uv_bin  # which BentoML needs

    command = [find_uv_bin(), *arguments, "--quiet"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - uv
    if ended.returncode:
        named = " ".join(arguments[:2]) if arguments[0] == "pip" else arguments[0]
        raise OSError(f"uv {named} failed: {ended.stderr.strip()[-500:]}")
    return ended.stdout
