"""A candidate in an environment of its own: another interpreter, with other libraries."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flags.errors import MigrationError
from flags.files import lock_file

_NOT_PASSED_ON: Final = ("PYTHONHOME", "VIRTUAL_ENV", "PROMETHEUS_MULTIPROC_DIR")
"""Variables of this interpreter, and of the folder where its libraries keep metrics."""

_CACHE: Final = "BENTOML_FLAGS_CACHE"
"""Variable that names the parent folder of the environments that are made."""

BENTO_FOLDER: Final = "env/python/candidates"
"""Folder in a Bento with one file of locked requirements for each such candidate."""

_PYTHON: Final = re.compile(r"# python ([\d.]+)\n")
"""First line of such a file: the version of the interpreter."""

_INCLUDED: Final = re.compile(r"^(?:-r|-c|--requirement|--constraint)[ =]*(\S+)", re.MULTILINE)
"""A reference to another file in a file of requirements."""

_VERSION: Final = re.compile(r"\d+(\.\d+){1,2}")
"""A version of Python, which uv finds on this machine or downloads."""


@dataclass(frozen=True, slots=True)
class OwnEnvironment:
    """A candidate that another interpreter imports; nothing of it is imported here.

    Its interpreter is `python`, or that of an environment made from `requirements`, with the Python
    `python` if that is given, else with this interpreter's version.
    """

    target: str
    """Import string of the service, `module:name`."""
    python: str | None = None
    """A path; for `requirements` it may be a version, like `3.12`."""
    requirements: Path | None = None

    def interpreter(self) -> Path:
        """Return the interpreter; make its environment first if necessary. Blocks.

        Raises OSError with an explanation.
        """
        if self.requirements is not None:
            return _ensure_environment(self.requirements, self.python)
        assert self.python is not None  # noqa: S101 - one of them is given
        return Path(self.python)

    @property
    def file_name(self) -> str:
        """Return the name of the environment in a Bento and its image, without a suffix."""
        return _file_name(self.target)

    @property
    def label(self) -> str:
        """Return the tag of the model until its process has reported another one."""
        return self.target.rpartition(":")[2]

    def variables(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of its process: `ours` without those of this interpreter."""
        variables = {name: value for name, value in ours.items() if name not in _NOT_PASSED_ON}
        if path := variables.pop("PYTHONPATH", ""):
            own = [each for each in path.split(os.pathsep) if "site-packages" not in each]
            variables["PYTHONPATH"] = os.pathsep.join(own)
        return variables

    def __str__(self) -> str:
        """Name the candidate and its environment."""
        given = (self.requirements, self.python and f"Python {self.python}")
        return f"{self.target} of {' with '.join(str(each) for each in given if each)}"


def own_environment_of(
    candidate: Any, python: str | Path | None, requirements: str | Path | None
) -> Any:
    """Return `candidate` as an OwnEnvironment; unchanged if neither other argument is given.

    In a Bento, and in its image, it is the environment that was built into them.
    Raises MigrationError if an argument is not an interpreter, a file of requirements or an import
    string.
    """
    if python is None and requirements is None:
        if isinstance(candidate, str):
            raise MigrationError(
                f"the candidate is {candidate!r}: an import string needs candidate_python or "
                "candidate_requirements, an address is written Remote('http://...')"
            )
        return candidate
    module, _, name = candidate.partition(":") if isinstance(candidate, str) else ("", "", "")
    if not module or not name:
        raise MigrationError(
            f"the candidate is {candidate!r}: with an environment of its own it must be an import "
            "string like 'claims_v2:ClaimsV2', since nothing of it is imported here"
        )
    if built_in := _built_in(candidate):
        return built_in
    if requirements is not None and not Path(requirements).is_file():
        raise MigrationError(f"candidate_requirements: there is no file {str(requirements)!r}")
    if requirements is not None:
        try:
            _content(Path(requirements))
        except OSError as error:
            raise MigrationError(f"candidate_requirements: {error}") from error
    return OwnEnvironment(
        candidate,
        None if python is None else _python(str(python), has_requirements=requirements is not None),
        None if requirements is None else Path(requirements).absolute(),
    )


def _python(given: str, *, has_requirements: bool) -> str:
    """Return a version unchanged, and a path as an absolute one; raises MigrationError."""
    if _VERSION.fullmatch(given):
        if has_requirements:
            return given
        raise MigrationError(
            f"candidate_python is {given!r}, a version: it needs candidate_requirements, of which "
            "its environment is made"
        )
    if not os.access(given, os.X_OK) or Path(given).is_dir():
        raise MigrationError(
            f"candidate_python is {given!r}, where no interpreter is: it must be like "
            "'/venvs/v2/bin/python', or, with candidate_requirements, a version like '3.12'"
        )
    return str(Path(given).absolute())


def _file_name(target: str) -> str:
    return target.replace(":", ".")


def _built_in(target: str) -> OwnEnvironment | None:
    """Return the environment of `target` in this image or in the served Bento; None if neither."""
    name = _file_name(target)
    python = Path(sys.prefix) / "share" / "bentoml-flags" / name / "bin" / "python"
    if python.exists():
        return OwnEnvironment(target, python=str(python))
    # A Bento is served from its folder `src`.
    requirements = Path.cwd().parent / BENTO_FOLDER / f"{name}.txt"
    return OwnEnvironment(target, requirements=requirements) if requirements.exists() else None


def _ensure_environment(requirements: Path, python: str | None) -> Path:
    """Return the interpreter of an environment with `requirements`, made once for each content."""
    content = _content(requirements)
    locked = _PYTHON.match(content)  # a file in a Bento names the version
    wanted = locked[1] if locked is not None else python
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    version = sys.executable if wanted is None or wanted == ours else wanted
    tag = f"{sys.implementation.cache_tag}-{sys.platform}-{version}"
    digest = hashlib.sha256((content + tag).encode()).hexdigest()[:16]
    cache = Path(os.environ.get(_CACHE) or Path.home() / ".cache" / "bentoml-flags")
    folder = cache / "environments" / digest
    interpreter = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:  # other workers wait for the first one
        lock_file(lock.fileno(), wait=True)
        if not (folder / "complete").exists():
            uv("venv", "--clear", "--python", version, str(folder))
            uv("pip", "install", "--python", str(interpreter), "--requirements", str(requirements))
            (folder / "complete").touch()
    return interpreter


def _content(requirements: Path, within: tuple[Path, ...] = ()) -> str:
    """Return the text of a file of requirements and of all files that it includes.

    Raises OSError if a file includes itself, directly or through others.
    """
    way = (*within, requirements.resolve())
    if way[-1] in within:
        named_by = " names ".join(path.name for path in way)
        raise OSError(f"a file of requirements names itself ({named_by}): take out its -r")
    content = requirements.read_text()
    named = [requirements.parent / each for each in _INCLUDED.findall(content)]
    return content + "".join(_content(each, way) for each in named if each.is_file())


def uv(*arguments: str) -> str:
    """Run uv and return its output; raises OSError with its error message."""
    command = [_uv_path(), *arguments, "--quiet"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - uv
    if ended.returncode:
        named = " ".join(arguments[:2]) if arguments[0] == "pip" else arguments[0]
        raise OSError(f"uv {named} failed: {ended.stderr.strip()[-500:]}")
    return ended.stdout


def _uv_path() -> str:
    """Return the program; raises OSError if it is neither in this environment nor on the path."""
    try:
        from uv import find_uv_bin  # BentoML installs it only when it needs it
    except ImportError:
        if found := shutil.which("uv"):
            return found
        raise OSError("uv makes environments, and is not installed: pip install uv") from None
    return str(find_uv_bin())
