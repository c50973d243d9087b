"""The container image of a service whose candidate has an environment of its own: it has both."""

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
from flags.serving.isolated.environment import CARRIED, OwnEnvironment, uv

_VENV: Final = "/app/.venv"
"""Where BentoML's images have the primary's environment."""

_PYTHONS: Final = "/app/python/"
"""Where they have interpreters that are not the base image's."""

_OF_THIS_MACHINE: Final = re.compile(r"^(-e|--editable|\.|/|file:)|@ file:|^[^:]*\.whl$")
"""Requirements that no other machine can install."""


@attrs.define
class ImageOfBoth(Image):  # type: ignore[misc]  # BentoML is not typed
    """An image with the primary's environment, as BentoML makes it, and the candidate's beside it.

    The packages of the candidate are locked when the Bento is built, and are a file in it.
    """

    candidate: OwnEnvironment = attrs.field(kw_only=True)
    is_configured: bool = attrs.field(default=False, kw_only=True)
    """Whether this is the copy that BentoML makes with what the file of the Bento says."""

    def __attrs_post_init__(self) -> None:
        """Choose base image and first commands in the copy: its distribution may be another."""
        if self.is_configured:
            super().__attrs_post_init__()
        self.is_configured = True

    def freeze(self, bento_fs: Path, envs: list[Any], platform_: str | None = None) -> Any:
        """Write the candidate's packages into the Bento, and have the image install them.

        Raises MigrationError for packages that only this machine has.
        """
        version, packages = _locked(self.candidate, self.python_version, platform_)
        _check(self.candidate, packages)
        file = Path(bento_fs) / CARRIED / f"{self.candidate.carried_as}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# python {version}\n{packages}")
        folder = f"{_VENV}/share/bentoml-flags/{self.candidate.carried_as}"
        command = (
            f"UV_PYTHON_INSTALL_DIR={_PYTHONS} uv venv --python {version} {folder} && uv pip "
            f"install --python {folder}/bin/python --requirements ./{CARRIED}/{file.name}"
        )
        if command not in self.post_commands:  # at a second build in this process
            self.post_commands.append(command)
        return super().freeze(bento_fs, envs, platform_)


def image_of_both(primary: Image | None, candidate: OwnEnvironment) -> ImageOfBoth:
    """Return the image of the primary, or BentoML's own, with the candidate's environment."""
    if primary is None:
        return ImageOfBoth(candidate=candidate)
    taken = {each: getattr(primary, each.name) for each in attrs.fields(type(primary))}
    given = {each.alias: value for each, value in taken.items() if each.init and each.alias}
    image = ImageOfBoth(**given, candidate=candidate)
    for each, value in taken.items():
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
        return python_version, _by_uv(["pip", "freeze", "--python", str(candidate.python)])
    elsewhere = (platform.system(), platform.machine()) != ("Linux", "x86_64")
    target = platform_ or ("linux" if elsewhere else None)
    with TemporaryDirectory() as folder:
        locked = Path(folder) / "locked.txt"
        _by_uv(
            [
                *("pip", "compile", str(candidate.requirements), "--output-file", str(locked)),
                *("--python-version", python_version, "--no-header", "--no-annotate"),
                *("--emit-index-url", "--emit-find-links", "--no-python-downloads"),
                *(("--python-platform", target) if target else ()),
            ]
        )
        return python_version, locked.read_text()


def _version_of(python: str) -> str:
    """Return a version as it is given, and that of an interpreter as it says."""
    if not os.access(python, os.X_OK):
        return ".".join(python.split(".")[:2])
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = [python, "-c", show]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - the user's own interpreter


def _by_uv(arguments: Sequence[str]) -> str:
    try:
        return uv(*arguments)
    except OSError as error:
        raise MigrationError(f"the candidate's environment cannot be locked: {error}") from error


def _check(candidate: OwnEnvironment, packages: str) -> None:
    lines = packages.splitlines()
    if found := [line for line in lines if _OF_THIS_MACHINE.search(line.strip())]:
        raise MigrationError(
            f"the candidate {candidate} has {found[0]!r}, which is on this machine only: a Bento "
            "carries packages of an index or of a URL, and the candidate's own modules as its files"
        )
    if not any(re.match(r"bentoml\b(?!-)", line) for line in lines):
        raise MigrationError(f"the candidate {candidate} has no bentoml, which must serve it there")
