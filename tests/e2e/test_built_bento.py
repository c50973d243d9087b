"""`bentoml build` makes a Bento that serves from the built artefact, and needs nothing else."""

import json
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from comparison.pairs.reader import load_pairs
from flags.serving.isolated.environment import BENTO_FOLDER
from flags.unleash.flags_file import write_flags_file
from service.schema import Transaction
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment, trained_store
from tests.support.paths import ROOT

IN_A_BENTO = ("init", "status", "rollback", "file")
ELSEWHERE = ("compare", "dashboard")


def told(python: Path, bento: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as `deploy/compose.yaml` does: from the source in the Bento."""
    return subprocess.run(
        [str(python), "-m", "flags", *arguments],
        cwd=bento,
        env=environment(bento.parent, PYTHONPATH="src"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
def test_a_built_bento_serves_in_an_empty_virtual_environment(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path / "bentoml"
    trained_store(tmp_path_factory, home)
    build = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(ROOT)],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    tag = build.stdout.strip().removeprefix("__tag__:")
    bento = home / "bentos" / Path(*tag.split(":"))
    assert not (bento / "src" / "flags" / "unleash" / "local").exists()

    empty = tmp_path / "empty"
    venv.create(empty, with_pip=False)
    python = empty / "bin" / "python"
    install = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--python", str(python)),
            *("--requirement", str(bento / "env" / "python" / "requirements.txt")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert install.returncode == 0, install.stderr

    flags, pairs = tmp_path / "flags.json", tmp_path / "pairs"
    write_flags_file(flags, "fraud-detector-v2", 100)
    with Serving(
        tag,
        environment=environment(home, FLAGS_FILE=str(flags), PAIRS_DIR=str(pairs)),
        log=tmp_path / "service.log",
        folder=tmp_path,
        python=python,
    ) as serving:
        example = Transaction.model_config["json_schema_extra"]["example"]  # type: ignore[index,call-overload]
        response = httpx.post(f"{serving.url}/predict", json=example, timeout=30)
        assert response.status_code == 200, response.text
        assert response.headers["X-Model-Side"] == "candidate"
        assert response.headers["X-Model-Tag"].startswith("fraud-v2:")
        assert json.loads(response.text)["alarm"] in (True, False)
    assert list(load_pairs(pairs)["served"]) == ["candidate"]

    for command in IN_A_BENTO:
        shown = told(python, bento, command, "--help")
        assert shown.returncode == 0, shown.stderr
    for command in ELSEWHERE:
        refused = told(python, bento, command, "--help")
        assert refused.returncode == 2
        assert f"{command} is not in this Bento: install bentoml-flags" in refused.stderr


@pytest.mark.slow
def test_a_built_bento_carries_the_environments_of_both_sides(tmp_path: Path) -> None:
    """Its image, which makes them at once: `make image`."""
    home, flags = tmp_path / "bentoml", tmp_path / "flags.json"
    write_flags_file(flags, "masses-v2", 0)
    variables = environment(home, FLAGS_FILE=str(flags), PAIRS_DIR=str(tmp_path / "pairs"))

    def started(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    started("examples.two_environments.train")
    file = str(ROOT / "examples" / "two_environments" / "bentofile.yaml")
    built = started("bentoml", "build", "--bentofile", file, "--output", "tag", str(ROOT))
    tag = built.strip().removeprefix("__tag__:")
    bento = home / "bentos" / Path(*tag.split(":"))

    [packages] = (bento / BENTO_FOLDER).iterdir()
    assert "\nscikit-learn==1.5.2\n" in packages.read_text()
    assert packages.name in (bento / "env" / "docker" / "Dockerfile").read_text()
    with Serving(tag, environment=variables, log=tmp_path / "log", folder=tmp_path) as serving:

        def answers(side: str) -> dict[str, Any]:
            body = {"radius": 14.5, "texture": 20.1}
            found = httpx.post(f"{serving.url}/judge", json=body, timeout=60)
            answer: dict[str, Any] = found.json() if found.headers["X-Model-Side"] == side else {}
            return answer

        assert answers("primary")["sklearn"] == version("scikit-learn")
        write_flags_file(flags, "masses-v2", 100)
        assert eventually(lambda: answers("candidate").get("sklearn") == "1.5.2", 300)
