"""The environment of a candidate of its own: what is refused in words, and what is made once."""

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import pytest

from flags import Remote, migrate
from flags.errors import MigrationError
from flags.serving.isolated.environment import OwnEnvironment


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
        (
            "a:B",
            {"candidate_python": sys.executable, "candidate_requirements": "r.txt"},
            "give one",
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


def test_variables_of_this_interpreter_stay_here() -> None:
    ours = {
        "PATH": "/bin",
        "VIRTUAL_ENV": "/venv",
        "PROMETHEUS_MULTIPROC_DIR": "/metrics",
        "PYTHONPATH": os.pathsep.join(["src", "/venv/lib/python3.11/site-packages"]),
    }
    theirs = OwnEnvironment("a:B", python=Path("/python")).variables(ours)
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


def test_a_file_that_uv_refuses_is_an_error_in_uvs_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_FLAGS_CACHE", str(tmp_path / "cache"))
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("numpy===\n")
    with pytest.raises(OSError, match="uv pip failed"):
        OwnEnvironment("a:B", requirements=wrong).interpreter()
