"""The container image of a service whose candidate has an environment of its own."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
from bentoml.images import Image

from flags.errors import MigrationError
from flags.serving.isolated.environment import BENTO_FOLDER, OwnEnvironment, uv

_VENV: Final = "/app/.venv"
"""Folder of the primary's environment in BentoML's images."""

_PYTHONS: Final = "/app/python/"
"""Folder of interpreters that do not belong to the base image."""

_LOCAL_REQUIREMENT: Final = re.compile(r"^(-e|--editable|\.|/|file:)|@ file:|^[^:]*\.whl$")
"""Requirements that no other machine can install."""


@attrs.define
class ImageOfBoth(Image):  # type: ignore[misc]  # BentoML is not typed
    """An image with the primary's environment, made by BentoML, and the candidate's beside it.

    The packages of the candidate are locked into a file of the Bento when that is built.
    """

    candidate: OwnEnvironment = attrs.field(kw_only=True)
    is_configured: bool = attrs.field(default=False, kw_only=True)
    """Whether this is the copy that BentoML makes with the options of the Bento's file."""

    def __attrs_post_init__(self) -> None:
        """Choose base image and first commands only in the copy, whose distribution may differ."""
        if self.is_configured:
            super().__attrs_post_init__()
        self.is_configured = True

    def freeze(self, bento_fs: Path, envs: list[Any], platform_: str | None = None) -> Any:
        """Write the candidate's packages into the Bento, and add the command to install them.

        Raises MigrationError for packages that exist only on this machine.
        """
        version, packages = _locked(self.candidate, self.python_version, platform_)
        _check(self.candidate, packages)
        file = Path(bento_fs) / BENTO_FOLDER / f"{self.candidate.file_name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# python {version}\n{packages}")
        folder = f"{_VENV}/share/bentoml-flags/{self.candidate.file_name}"
        command = (
            f"UV_PYTHON_INSTALL_DIR={_PYTHONS} uv venv --python {version} {folder} && uv pip "
            f"install --python {folder}/bin/python --requirements ./{BENTO_FOLDER}/{file.name}"
        )
        if command not in self.post_commands:  # it is there at a second build in this process
            self.post_commands.append(command)
        return super().freeze(bento_fs, envs, platform_)


def image_of_both(primary: Image | None, candidate: OwnEnvironment) -> ImageOfBoth:
    """Return the primary's image, or BentoML's default, extended by the candidate's environment."""
    if primary is None:
        return ImageOfBoth(candidate=candidate)
    fields = {each: getattr(primary, each.name) for each in attrs.fields(type(primary))}
    arguments = {each.alias: value for each, value in fields.items() if each.init and each.alias}
    image = ImageOfBoth(**arguments, candidate=candidate)
    for each, value in fields.items():
        if not each.init:
            setattr(image, each.name, value)
    return image


def _locked(
    candidate: OwnEnvironment, python_version: str, platform_: str | None
) -> tuple[str, str]:
    """Return the version of the candidate's Python, and its packages with their versions."""
    if candidate.python is not None:
        python_version = _version_of(candidate.python)
    if candidate.requirements is None:
        return python_version, _run_uv(["pip", "freeze", "--python", str(candidate.python)])
    elsewhere = (platform.system(), platform.machine()) != ("Linux", "x86_64")
    target = platform_ or ("linux" if elsewhere else None)
    with TemporaryDirectory() as folder:
        locked = Path(folder) / "locked.txt"
        _run_uv(
            [
                *("pip", "compile", str(candidate.requirements), "--output-file", str(locked)),
                *("--python-version", python_version, "--no-header", "--no-annotate"),
                *("--emit-index-url", "--emit-find-links", "--no-python-downloads"),
                *(("--python-platform", target) if target else ()),
            ]
        )
        return python_version, locked.read_text()


def _version_of(python: str) -> str:
    """Return major and minor version of `python`: a version, or the path of an interpreter."""
    if not os.access(python, os.X_OK):
        return ".".join(python.split(".")[:2])
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    command = [python, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - the user's own interpreter


def _run_uv(arguments: Sequence[str]) -> str:
    try:
        return uv(*arguments)
    except OSError as error:
        raise MigrationError(f"the candidate's environment cannot be locked: {error}") from error


def _check(candidate: OwnEnvironment, packages: str) -> None:
    lines = packages.splitlines()
    if found := [line for line in lines if _LOCAL_REQUIREMENT.search(line.strip())]:
        raise MigrationError(
            f"the candidate {candidate} has {found[0]!r}, which is on this machine only: a Bento "
            "carries packages of an index or of a URL, and the candidate's own modules as its files"
        )
    if not any(re.match(r"bentoml\b(?!-)", line) for line in lines):
        raise MigrationError(f"the candidate {candidate} has no bentoml, which must serve it there")
