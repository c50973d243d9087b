"""A candidate's own environment: invalid ones are refused, valid ones are made once."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import attrs
import bentoml
import pytest
from bentoml.images import Image
from uv import find_uv_bin

from flags import Remote, migrate
from flags.errors import MigrationError
from flags.serving.isolated.environment import (
    BENTO_FOLDER,
    OwnEnvironment,
    own_environment_of,
    uv,
)
from flags.serving.isolated.image import _locked, image_of_both


@bentoml.service
class Near:
    @bentoml.api
    def judge(self, amount: float) -> float:
        return amount


def migrated(candidate: Any = "claims_v2:ClaimsV2", **options: Any) -> Any:
    return migrate(Near, candidate, flag="claims-v2", **options)


def test_nothing_of_the_candidate_is_imported_here() -> None:
    service = migrated(candidate_python=sys.executable)
    assert service().judge(amount=2.0) == 2.0
    assert "claims_v2" not in sys.modules
    assert migrated(candidate_python=sys.executable, placement="isolated").dependencies == {}


@pytest.mark.parametrize(
    ("candidate", "options", "words"),
    [
        ("claims_v2:ClaimsV2", {}, "needs candidate_python or candidate_requirements"),
        ("claims_v2", {"candidate_python": sys.executable}, "import string like"),
        (Near, {"candidate_python": sys.executable}, "import string like"),
        (Remote("http://far"), {"candidate_python": sys.executable}, "import string like"),
        ("a:B", {"candidate_python": "/no/python"}, "'/no/python', where no interpreter is"),
        ("a:B", {"candidate_requirements": "/no/file"}, "no file '/no/file'"),
        ("a:B", {"candidate_python": "/usr"}, "'/usr', where no interpreter is"),
        ("a:B", {"candidate_python": "3.12"}, "it needs candidate_requirements"),
        (
            "a:B",
            {"candidate_python": "3.x", "candidate_requirements": __file__},
            "a version like '3.12'",
        ),
        (
            "a:B",
            {"candidate_python": sys.executable, "placement": "embedded-ish"},
            "where the primary runs",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(candidate: Any, options: Any, words: str) -> None:
    with pytest.raises(MigrationError, match=words):
        migrated(candidate, **options)


def test_in_an_image_the_environment_is_the_one_that_was_built_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "share" / "bentoml-flags" / "claims_v2.ClaimsV2" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    given = "/of/the/machine/that/built/it.txt"
    found = own_environment_of("claims_v2:ClaimsV2", None, given)
    assert found == OwnEnvironment("claims_v2:ClaimsV2", python=str(python))
    with pytest.raises(MigrationError, match="no file"):
        own_environment_of("claims_v3:ClaimsV3", None, given)


def test_from_a_bento_the_environment_is_made_of_the_packages_that_it_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / BENTO_FOLDER / "claims_v2.ClaimsV2.txt"
    (tmp_path / "src").mkdir()
    packages.parent.mkdir(parents=True)
    packages.write_text(f"# python {sys.version_info.major}.{sys.version_info.minor}\n")
    monkeypatch.chdir(tmp_path / "src")
    monkeypatch.setenv("BENTOML_FLAGS_CACHE", str(tmp_path / "cache"))
    found = own_environment_of("claims_v2:ClaimsV2", "/built/with/bin/python", None)
    assert found == OwnEnvironment("claims_v2:ClaimsV2", requirements=packages)
    assert os.access(found.interpreter(), os.X_OK)


def test_the_image_keeps_what_the_primary_asks_of_it() -> None:
    ours = Image(python_version="3.12", distro="alpine").system_packages("git").run("echo ready")
    kept = image_of_both(ours, OwnEnvironment("a:B", python=sys.executable))
    assert (kept.base_image, kept.commands) == (ours.base_image, ours.commands)
    assert kept.python_version == "3.12"


def test_without_an_image_of_the_primary_the_file_of_the_bento_chooses_the_base() -> None:
    image = image_of_both(None, OwnEnvironment("a:B", python=sys.executable))
    configured = attrs.evolve(image, python_version="3.12", distro="alpine")  # as BentoML does
    plain = Image(python_version="3.12", distro="alpine")
    assert (configured.base_image, configured.commands) == (plain.base_image, plain.commands)


def test_a_package_of_this_machine_alone_is_refused_when_the_bento_is_built(tmp_path: Path) -> None:
    """These tests run in an environment with this project as a folder."""
    image = image_of_both(None, OwnEnvironment("a:B", python=sys.executable))
    with pytest.raises(MigrationError, match="on this machine only"):
        attrs.evolve(image).freeze(tmp_path, [])


def test_an_environment_without_bentoml_is_refused_when_the_bento_is_built(tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty" / "bin" / "python"
    image = image_of_both(None, OwnEnvironment("a:B", python=str(python)))
    with pytest.raises(MigrationError, match="has no bentoml"):
        attrs.evolve(image).freeze(tmp_path, [])


def test_variables_of_this_interpreter_stay_here() -> None:
    ours = {
        "PATH": "/bin",
        "VIRTUAL_ENV": "/venv",
        "PROMETHEUS_MULTIPROC_DIR": "/metrics",
        "PYTHONPATH": os.pathsep.join(["src", "/venv/lib/python3.11/site-packages"]),
    }
    theirs = OwnEnvironment("a:B", python="/python").variables(ours)
    assert theirs == {"PATH": "/bin", "PYTHONPATH": "src"}


def test_an_environment_is_made_once_for_what_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_FLAGS_CACHE", str(tmp_path / "cache"))
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("# nothing\n")
    second.write_text("# nothing either\n")
    made = OwnEnvironment("a:B", requirements=first).interpreter()
    assert os.access(made, os.X_OK)
    began = made.parent.stat().st_mtime_ns
    assert OwnEnvironment("a:B", requirements=first).interpreter() == made
    assert made.parent.stat().st_mtime_ns == began
    assert OwnEnvironment("a:B", requirements=second).interpreter() != made


def test_an_environment_is_made_anew_when_a_file_that_is_included_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_FLAGS_CACHE", str(tmp_path / "cache"))
    requirements, base = tmp_path / "requirements.txt", tmp_path / "base.txt"
    requirements.write_text("-r base.txt\n--constraint=base.txt\n")
    base.write_text("# nothing\n")
    environment = OwnEnvironment("a:B", requirements=requirements)
    made = environment.interpreter()
    assert environment.interpreter() == made
    base.write_text("# nothing either\n")
    assert environment.interpreter() != made


def another_python() -> tuple[str, str]:
    """Return the path and version of an interpreter that is not of this one's version."""
    places = [
        *Path.home().glob(".pyenv/versions/3.*/bin"),
        Path("/usr/local/bin"),
        Path("/usr/bin"),
    ]
    for minor in (12, 13, 14, 11):
        for python in (place / f"python3.{minor}" for place in places):
            if minor != sys.version_info.minor and os.access(python, os.X_OK):
                return str(python), f"3.{minor}"
    pytest.skip("there is no other Python")


def test_an_environment_is_made_with_the_python_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, version = another_python()
    monkeypatch.setenv("BENTOML_FLAGS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(Path(path).parent))  # where uv looks for a version
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    for python in (path, version):
        found = own_environment_of("a:B", python, requirements)
        assert str(found) == f"a:B of {requirements} with Python {python}"
        said = subprocess.run([found.interpreter(), "-c", show], capture_output=True, text=True)
        assert said.stdout.strip() == version


def test_packages_are_locked_for_the_python_that_is_named(tmp_path: Path) -> None:
    """The image then makes the environment with that version."""
    path, version = another_python()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"six ; python_version == '{version}'\n")
    for python in (path, version):
        named, packages = _locked(OwnEnvironment("a:B", python, requirements), "3.11", None)
        assert named == version
        assert packages.strip().splitlines()[-1].startswith("six==")


def test_a_file_that_uv_refuses_is_an_error_in_uvs_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_FLAGS_CACHE", str(tmp_path / "cache"))
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("numpy===\n")
    with pytest.raises(OSError, match="uv pip install failed"):
        OwnEnvironment("a:B", requirements=wrong).interpreter()


def test_requirements_that_name_themselves_are_an_error_that_names_the_files(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "candidate.txt", tmp_path / "common.txt"
    first.write_text("-r common.txt\n-r common.txt\n")
    second.write_text("xgboost\n")
    own_environment_of("a:B", None, first)  # twice is not a circle
    second.write_text("-r candidate.txt\n")
    circle = r"\(candidate\.txt names common\.txt names candidate\.txt\)"
    with pytest.raises(MigrationError, match=circle):
        own_environment_of("a:B", None, first)
    with pytest.raises(OSError, match=circle):
        OwnEnvironment("a:B", requirements=first).interpreter()


def test_a_missing_uv_is_named_and_one_on_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = find_uv_bin()
    monkeypatch.setitem(sys.modules, "uv", None)  # as where BentoML has not installed it
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="pip install uv"):
        uv("--version")
    (tmp_path / "uv").symlink_to(program)
    uv("--version")
